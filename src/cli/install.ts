import { dirname, join } from 'node:path';
import { EXIT, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS, PREFIX } from '../host/paths.ts';
import {
  firstFile,
  makeFolder,
  ownFolder,
  placeCopy,
  placeLink,
  placeText,
  runningInterpreter,
  textOf,
} from '../host/program-files.ts';
import { type HookFiles, placeHooks } from '../launch/installed-hooks.ts';
import { firstLine, unsafeInterpreter } from '../launch/interpreter.ts';
import { forgetLastTransaction } from '../record/last-transaction.ts';
import { LOCK_RECORD, readLockRecord } from '../record/lock-record.ts';
import type { CliCommand, Flags } from './command.ts';
import { DISPATCHER_PATHS, placeDispatcher } from './dispatcher-scripts.ts';
import { runInImage } from './in-image.ts';
import { JSON_FLAG } from './json-flag.ts';
import { placeManuals } from './manuals.ts';
import { NO_CODE_CACHE } from './no-code-cache.ts';
import { NOT_MOVED } from './not-moved.ts';
import { NOT_RENEWED } from './not-renewed.ts';
import { packageRemoval, refuseOtherInstallation } from './other-installation.ts';
import { parseArguments } from './parse-arguments.ts';
import { renewServices } from './renew-services.ts';
import { settingsTemplate } from './settings-template.ts';
import { TAKEN_OVER, takeOver } from './take-over.ts';

const HOOKS = ['up', 'down', 'route-up'] as const;
/** Files of the build that are installed unchanged, except for their first line. */
export const PROGRAMS = [
  'cli.js',
  'resolver.js',
  'rehearsal.js',
  'progress.js',
  'prove.js',
  'proof/prober.js',
  'proof/responder.js',
  'proof/visitor.js',
] as const;
/** Plain sh. */
export const SCRIPTS = ['boot', 'recover', 'nm-dispatcher'] as const;

/**
 * Returns the interpreter that the hooks will name. Copies it into this product's own folder when
 * its place is not safe to use.
 */
function interpreter(print: (line: string) => void): string {
  const running = runningInterpreter();
  const why = unsafeInterpreter(running);
  if (why === undefined) return running;
  const own = join(PATHS.library, 'node');
  placeCopy(own, running, 0o755);
  print(`Copied ${running} to ${own}: ${why}.`);
  return own;
}

function hookFiles(node: string): HookFiles {
  const at = (name: string) => join(PATHS.library, name);
  const hooks = Object.fromEntries(
    // OpenVPN starts a plain script instead, which starts the hook when there is work to do.
    [...HOOKS, 'nm-dispatcher'].map((hook) => [
      hook,
      at(hook === 'route-up' ? 'route-up.js' : `hooks/${hook}`),
    ]),
  );
  const caches = { nftables: at('hooks-nftables.cache'), iptables: at('hooks-iptables.cache') };
  return {
    node,
    program: at('hooks.js'),
    caches,
    record: LOCK_RECORD,
    rehearsal: at('rehearsal.js'),
    hooks,
  };
}

function source(from: string, ...names: readonly string[]): string {
  const found = firstFile(names.map((name) => join(from, name)));
  if (found === undefined)
    throw new KillswitchError(
      'FILES',
      `${names[0]} is missing in ${from}`,
      'Build first: npm ci && npm run build',
    );
  return textOf(found);
}

function installFiles(host: Host, print: (line: string) => void, networkManager: boolean): void {
  const from = ownFolder();
  const programs = PROGRAMS.map((to) => ({ to, text: source(from, to) }));
  const [hooks, start] = [source(from, 'hooks.js'), source(from, 'start.js')];
  const routeUp = source(from, 'route-up', 'hooks/route-up');
  const scripts = SCRIPTS.map((name) => ({ name, text: source(from, name) }));
  makeFolder(PATHS.library);
  for (const folder of ['hooks', 'proof']) makeFolder(join(PATHS.library, folder));
  const node = interpreter(print);
  const first = firstLine(node);
  if (networkManager) placeDispatcher(host, source(from, 'nm-dispatcher'));
  // A package has placed every file that is the same on each machine.
  if (packageRemoval(host) === undefined) {
    // Node reads a file without an extension by the nearest package.json. This one keeps another
    // from changing how the programs are read.
    placeText(join(PATHS.library, 'package.json'), '{ "type": "commonjs" }\n', 0o644);
    for (const { to, text } of programs)
      placeText(join(PATHS.library, to), text.replace(/^#!.*/, first), 0o755);
    for (const { name, text } of scripts) placeText(join(PATHS.library, name), text, 0o755);
    placeLink(PATHS.command, join(PATHS.library, 'cli.js'));
    makeFolder(dirname(PATHS.settings));
    if (firstFile([PATHS.settings]) === undefined)
      placeText(PATHS.settings, settingsTemplate(), 0o644);
    // From here on hooks of an older copy may meet the new files.
    placeText(join(PATHS.library, 'start.js'), start, 0o644);
  }
  const why = placeHooks(hookFiles(node), first, start, hooks);
  placeText(join(PATHS.library, 'hooks/route-up'), routeUp, 0o755);
  // This version may want other rules than the loaded ones.
  forgetLastTransaction(host);
  if (why !== undefined) print(`${NO_CODE_CACHE}, a little slower: ${why}`);
}

const FLAGS = {
  networkmanager: { type: 'boolean', what: 'guard also the VPNs that NetworkManager starts' },
  root: {
    type: 'string',
    value: 'DIR',
    what: 'into the image at this folder, and change nothing of the running system',
  },
  json: JSON_FLAG,
} as const satisfies Flags;

/** Where `installFiles` writes past the host. */
const INSTALLED: readonly string[] = [
  PATHS.library,
  PATHS.command,
  PATHS.settings,
  ...DISPATCHER_PATHS,
];

/** Says that installing locks nothing, and that an update keeps a lock. */
function lockedText(host: Host): string {
  return readLockRecord(host)?.locked === true
    ? 'The machine stays locked: "ovpn-killswitch status" says how.'
    : 'Nothing is locked yet: "ovpn-killswitch lock" does that.';
}

export const install: CliCommand = {
  name: 'install',
  usage: 'install [--networkmanager] [--root DIR] [--json]',
  group: 'setup',
  brief: 'put the hooks and this command in place',
  summary: `Put the hooks and this command under ${PATHS.library}, owned by root. Changes no rule.`,
  flags: FLAGS,
  words: [],
  examples: [
    ['install', 'after npm ci && npm run build: node dist/cli.js install'],
    ['install --root /var/lib/machines/new', 'prepares an image that has Node'],
    ['install --networkmanager', 'guards also the VPNs that NetworkManager starts'],
  ],
  needsRoot: true,
  run: (context) => {
    const { host, args, print, progress, commands, report } = context;
    const { values } = parseArguments(install, args, FLAGS);
    if (values.root !== undefined)
      return runInImage(context, install.usage, values.root, [
        'install',
        ...(values.networkmanager === true ? ['--networkmanager'] : []),
      ]);
    refuseOtherInstallation(host, PREFIX, ownFolder());
    progress('placing files and compiling the hooks');
    // Once it is installed, an update keeps it like the hooks.
    const networkManager = values.networkmanager === true || host.exists(PATHS.dispatcher);
    try {
      report.during(INSTALLED, () => installFiles(host, print, networkManager));
    } catch (cause) {
      if (cause instanceof KillswitchError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      const next = 'Fix the problem that the line above names and install again: it starts over.';
      throw new KillswitchError('FILES', 'the files could not be installed', next, [why], {
        cause,
      });
    }
    for (const line of report.during(TAKEN_OVER, () => takeOver(host, print)))
      print(`${NOT_MOVED}, and still in use: ${line}`);
    for (const line of renewServices(host, print))
      print(`${NOT_RENEWED}, and still in use: ${line}`);
    print(`Installed in ${PATHS.library}. ${lockedText(host)}`);
    const missing = packageRemoval(host) === undefined ? placeManuals(host, commands) : undefined;
    if (missing !== undefined)
      print(`The manual page and the completions of shells are not installed: ${missing}`);
    print('Lines for a profile (.ovpn):');
    print('  script-security 2');
    for (const hook of HOOKS) print(`  ${hook} ${PATHS.library}/hooks/${hook}`);
    if (networkManager) print(`NetworkManager: its VPNs are guarded, by ${PATHS.dispatcher}.`);
    print(`Settings: ${PATHS.settings}`);
    return EXIT.ok;
  },
};
