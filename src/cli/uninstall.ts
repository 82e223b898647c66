import { dirname, join } from 'node:path';
import { NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW } from '../boot/nftables-service.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { exclusiveConnections, restoreDns } from '../dns/vpn-dns.ts';
import { asKillswitchError, EXIT, explainError, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { otherDropLines, readKernelState } from '../machine/kernel-state.ts';
import { loadSettings } from '../machine/load-settings.ts';
import { markerDamage } from '../net/marked-block.ts';
import { defaultSettings, type Settings } from '../policy/settings.ts';
import { profilePaths } from '../record/profile-paths.ts';
import { unlockMachine } from '../transaction/lock.ts';
import { detach } from '../tunnel/attachment.ts';
import type { CliCommand, Flags } from './command.ts';
import { DISPATCHER_PATHS } from './dispatcher-scripts.ts';
import { JSON_FLAG } from './json-flag.ts';
import { removeManuals } from './manuals.ts';
import { packageRemoval } from './other-installation.ts';
import { parseArguments } from './parse-arguments.ts';
import { planProfiles, writeProfiles } from './rewrite-profiles.ts';

/** Every file and folder of this product, in the order of removal. */
const OWN_PATHS: readonly string[] = [
  ...DISPATCHER_PATHS,
  NFTABLES_DROP_IN,
  NFTABLES_DROP_IN_NOW,
  PATHS.command,
  PATHS.library,
  dirname(PATHS.settings),
  PATHS.state,
  PATHS.runtime,
  PATHS.log,
];

/** Paths that a package placed: the package manager removes them. */
const PACKAGED: readonly string[] = [PATHS.command, PATHS.library, dirname(PATHS.settings)];

/**
 * Detaches the profiles that the settings name. Call first: a profile that names missing hooks does
 * not start.
 */
function detachAll(host: Host, print: (line: string) => void): void {
  const paths = profilePaths(host, settingsOrDefaults(host));
  for (const path of paths)
    attempt(print, () => {
      const changes = planProfiles(host.readUntrusted, [path], (text) => ({
        text: markerDamage(text) === undefined ? detach(text) : text,
      })).filter(({ before, after }) => before !== after);
      writeProfiles(host, changes);
      if (changes.length > 0) print(`${path}: detached`);
    });
}

/** Reports a failure and carries on: `uninstall` must still open the machine. */
function attempt(print: (line: string) => void, work: () => void): void {
  try {
    work();
  } catch (thrown) {
    // The state is printed at the end: it changes until then.
    for (const line of explainError(asKillswitchError(thrown), '')) if (line !== '') print(line);
  }
}

function settingsOrDefaults(host: Host): Settings {
  try {
    return loadSettings(host);
  } catch {
    return defaultSettings();
  }
}

const FLAGS = { json: JSON_FLAG } as const satisfies Flags;

export const uninstall: CliCommand = {
  name: 'uninstall',
  usage: 'uninstall [--json]',
  group: 'setup',
  brief: 'open, and remove every file of ours',
  summary:
    'Remove our lines from the profiles, open the machine and remove every file of ours, settings included.',
  flags: FLAGS,
  words: [],
  examples: [['uninstall', 'detach profiles outside of KILLSWITCH_PROFILES first']],
  needsRoot: true,
  run: ({ host, args, print, progress }) => {
    parseArguments(uninstall, args, FLAGS);
    progress('taking everything back');
    attempt(print, () => detachAll(host, print));
    attempt(print, () => {
      for (const connection of exclusiveConnections(host))
        attempt(print, () => {
          if (restoreDns(host, connection))
            print(`NetworkManager's connection ${connection}: detached`);
        });
    });
    progress('removing the rules and every file');
    const recover = join(PATHS.library, 'recover');
    if (host.exists(recover)) {
      const { status, stderr } = host.run({
        program: 'sh',
        args: [recover],
        milliseconds: 85_000,
        changes: 'rules',
      });
      const next = `Run ${recover} and fix what it says.`;
      const said = stderr.trim().split('\n');
      if (status !== EXIT.ok && status !== EXIT.files)
        throw new KillswitchError(
          'REFUSED',
          'rules may be left, so no file was removed',
          next,
          said,
        );
      // The machine is open then, and the code below removes every file of this product.
      if (status === EXIT.files) for (const line of said) print(line);
    } else {
      unlockMachine(host);
      followResolversOrSay(host);
    }
    const now = readKernelState(host);
    if (now.ours.length + now.unread.length > 0)
      throw new KillswitchError(
        'REFUSED',
        'rules may be left, so no file was removed',
        `Run "nft list ruleset", fix the error that it prints, then run: sudo ovpn-killswitch uninstall`,
        [...now.ours.map((place) => `left in: ${place}`), ...now.unread],
      );
    const removal = packageRemoval(host);
    const own = OWN_PATHS.filter((path) => removal === undefined || !PACKAGED.includes(path));
    for (const path of own) attempt(print, () => host.remove(path));
    if (removal === undefined) attempt(print, () => removeManuals(host));
    const left = own.filter((path) => host.exists(path));
    print(
      left.length === 0 && removal === undefined
        ? 'Removed: the rules, the hooks, the command, the settings and everything kept. Nothing is guarded.'
        : 'Removed: the rules, and every file but those named LEFT. Nothing is guarded.',
    );
    for (const line of otherDropLines(now)) print(`  ${line}`);
    for (const path of left) print(`LEFT: ${path} cannot be removed`);
    if (removal !== undefined)
      print(`LEFT: the package and the settings. To remove them: ${removal}`);
    print(
      'Hook lines that you wrote yourself, or profiles elsewhere, are still there: OpenVPN does not start while they name missing files.',
    );
    print(
      'Remove also the drop-ins for systemd that you copied from our examples: the unit that they require is gone.',
    );
    return left.length === 0 ? EXIT.ok : EXIT.files;
  },
};
