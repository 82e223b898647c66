import { join } from 'node:path';
import { EXIT, KillswitchError } from '../errors.ts';
import { PATHS } from '../host/paths.ts';
import { printable } from '../net/printable.ts';
import { keepAttached } from '../record/attached-profiles.ts';
import { gaps } from '../record/gaps.ts';
import { readLiveTunnels } from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { addressCounts, type Pin } from '../record/pins.ts';
import { learnProfiles } from '../transaction/refresh.ts';
import { attach as attachText, detach } from '../tunnel/attachment.ts';
import { readProfile } from '../tunnel/profile.ts';
import { readProfileFacts } from '../tunnel/profile-facts.ts';
import { type Warning, warningsOf } from '../tunnel/profile-warnings.ts';
import { offloadText } from '../tunnel/tunnel.ts';
import { attachConnections, CONNECTIONS, FILES } from './attach-connections.ts';
import type { CliCommand, Context, Flags } from './command.ts';
import { filesBeside, type ProfileCopy, planCopies, writeCopies } from './copy-profiles.ts';
import { JSON_FLAG } from './json-flag.ts';
import { misused, parseArguments } from './parse-arguments.ts';
import {
  keepOriginal,
  needRoot,
  type ProfileChange,
  planProfiles,
  writeProfiles,
} from './rewrite-profiles.ts';
import { unifiedDiff } from './unified-diff.ts';

const FOLDER = join(PATHS.library, 'hooks');

function warningsFor(
  { before }: ProfileChange,
  harden: boolean,
  pins: readonly Pin[],
): readonly Warning[] {
  const own = detach(before);
  const addresses = addressCounts(pins);
  return warningsOf({
    profile: readProfile(own),
    facts: readProfileFacts(own),
    folder: FOLDER,
    harden,
    addresses,
  });
}

function printWarnings(print: Context['print'], warnings: readonly Warning[]): void {
  for (const { what, fix } of warnings) {
    print(`  warning: ${what}`);
    print(`      ${fix}`);
  }
}

/** Prints warnings that need the addresses of a profile's names. */
function printNewWarnings(
  print: Context['print'],
  change: ProfileChange,
  harden: boolean,
  pins: readonly Pin[],
): void {
  const known = warningsFor(change, harden, []).map(({ what }) => what);
  const fresh = warningsFor(change, harden, pins).filter(({ what }) => !known.includes(what));
  if (fresh.length > 0) print(`${printable(change.path)}:`);
  printWarnings(print, fresh);
}

/** Says that the copy alone counts from now on: changes to the original have no effect. */
function printCopy(print: Context['print'], copy: ProfileCopy, dryRun: boolean): void {
  print(
    `${printable(copy.from)}: ${dryRun ? 'would be copied' : 'copied'} to ${printable(copy.to)}; start OpenVPN from there`,
  );
  for (const file of filesBeside(copy))
    print(`  warning: it names "${file}", which must lie beside the copy`);
}

/** Returns the change from a replaced profile, if there is one, to the attached copy. */
function changeOf(change: ProfileChange, replaced: Uint8Array | undefined): ProfileChange {
  if (replaced === undefined) return change;
  // Every byte is a character of latin1, whatever the two profiles are written in.
  const after = Buffer.from(change.after, change.encoding).toString('latin1');
  const before = Buffer.from(replaced).toString('latin1');
  return { path: change.path, encoding: 'latin1', before, after };
}

const FLAGS = {
  copy: {
    type: 'boolean',
    what: 'attach a copy in /etc/openvpn/client, which only root can change',
  },
  replace: { type: 'boolean', what: 'with --copy: replace another profile of that name there' },
  'dry-run': { type: 'boolean', what: 'show the change and write nothing' },
  harden: { type: 'boolean', what: 'refuse also options that a server need not push' },
  networkmanager: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    what: "a connection of NetworkManager's in place of a file",
  },
  json: JSON_FLAG,
} as const satisfies Flags;

export const attach: CliCommand = {
  name: 'attach',
  usage:
    'attach FILE… [--copy [--replace]] | --networkmanager NAME [--dry-run] [--harden] [--json]',
  group: 'setup',
  brief: 'write the lines for the hooks into profiles',
  summary:
    'Write the lines that the hooks need into profiles. The hooks call in turn the commands of their own up, down and route-up.',
  flags: FLAGS,
  words: [{ name: 'FILE', what: 'an OpenVPN profile', isFile: true }],
  examples: [
    [
      'attach /etc/openvpn/client/my-vpn.conf',
      'writes the lines at its end, and keeps a copy of the original',
    ],
    ['attach --dry-run my-vpn.ovpn', 'shows the change and writes nothing'],
    [
      'attach --copy my-vpn.ovpn',
      'attaches a copy of it in /etc/openvpn/client, which only root can change',
    ],
    [
      'attach --copy --replace my-vpn.ovpn',
      'updates that copy from a changed original; does nothing where it has not changed',
    ],
    ['attach --harden my-vpn.ovpn', 'refuses also options that a server need not push'],
    [
      'attach --networkmanager "My VPN"',
      'has NetworkManager ask only the resolvers of that VPN while it is up',
    ],
  ],
  needsRoot: false,
  run: (context) => {
    const { host, args, print, printExactly, progress, report } = context;
    const words = args.some((each) => each.startsWith('--networkmanager')) ? CONNECTIONS : FILES;
    const { values, positionals } = parseArguments(attach, args, FLAGS, words);
    const dryRun = values['dry-run'] === true;
    if (values.networkmanager !== undefined) {
      needRoot(host, 'attach');
      attachConnections(context, values.networkmanager, dryRun);
      return EXIT.ok;
    }
    const harden = values.harden === true;
    const replaces = values.replace === true;
    if (replaces && values.copy !== true)
      throw misused(attach, '--replace is for a copy: add --copy');
    const copies = values.copy === true ? planCopies(host, positionals, replaces) : [];
    const replaced = new Map(copies.map(({ to, replaced: old }) => [to, old]));
    const copied = new Map(copies.map(({ to, bytes }) => [to, bytes]));
    const read = (path: string) => copied.get(path) ?? host.readBytes(path);
    const files = values.copy === true ? [...copied.keys()] : positionals;
    const planned = planProfiles(read, files, (text) =>
      attachText(text, { folder: FOLDER, harden }),
    );
    const changes = planned.map((change) => changeOf(change, replaced.get(change.path)));
    if (!dryRun) {
      needRoot(host, 'attach');
      if (!host.exists(join(FOLDER, 'up')))
        throw new KillswitchError(
          'FILES',
          `${FOLDER} holds no hooks, and OpenVPN does not start without them`,
          'Install first: see README.md',
        );
    }
    if (!dryRun) writeCopies(host, copies);
    for (const copy of copies)
      printCopy((line) => print(`${dryRun ? '# ' : ''}${line}`), copy, dryRun);
    const backups = dryRun ? [] : planned.map((change) => keepOriginal(host, change));
    if (!dryRun) for (const change of changes) keepOriginal(host, change);
    if (!dryRun)
      writeProfiles(
        host,
        changes.filter(({ before, after }) => before !== after),
      );
    for (const [index, change] of changes.entries()) {
      const { path, before, after } = change;
      if (dryRun) for (const line of unifiedDiff(path, before, after)) printExactly(line);
      const isThere = host.exists(path);
      if (dryRun && (before !== after || !isThere))
        report.plan({ kind: 'file', what: path, how: isThere ? 'changed' : 'added' });
      const done =
        before === after
          ? 'is attached already'
          : dryRun
            ? 'would be attached'
            : `attached; the original is ${backups[index]}`;
      print(`${dryRun ? '# ' : ''}${path}: ${done}`);
      printWarnings(
        (line) => print(`${dryRun ? '# ' : ''}${line}`),
        warningsFor(planned[index] ?? change, harden, []),
      );
    }
    if (dryRun) return EXIT.ok;
    keepAttached(
      host,
      changes.map(({ path }) => path),
    );
    progress('asking for names');
    const known = learnProfiles(host);
    for (const change of planned) printNewWarnings(print, change, harden, known.pins);
    for (const line of gaps(known)) print(`  ${line}`);
    for (const { tunnel, profile } of readLiveTunnels(host))
      if (tunnel.offloaded === true && changes.some(({ path }) => path === profile))
        print(`  ${offloadText(tunnel)}`);
    const record = readLockRecord(host);
    print(
      record?.locked === true
        ? `Their servers may be reached${record.term?.kind === 'trial' ? ' while the lock is on trial' : ''}. Restart OpenVPN.`
        : 'Run "ovpn-killswitch lock", then restart OpenVPN.',
    );
    return EXIT.ok;
  },
};
