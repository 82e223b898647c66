import { recoverStrategies } from '../boot/recover-script.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import { linuxHost } from '../host/linux.ts';
import { listen } from '../host/listen.ts';
import { PATHS } from '../host/paths.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { watch as startWatch } from '../watch/watch.ts';
import { readWatch } from '../watch/watch-report.ts';
import type { CliCommand, Context, Flags } from './command.ts';
import { JSON_FLAG } from './json-flag.ts';
import { misused, parseArguments, wrongWord } from './parse-arguments.ts';
import { say } from './say.ts';
import { enableWatch } from './watch-enable.ts';

function enable({ host, print }: Context): void {
  if (!host.exists(PATHS.command))
    throw new KillswitchError(
      'FILES',
      `${PATHS.command} is missing`,
      'Install first: see README.md',
    );
  const init = enableWatch(host);
  print(
    `Watching, now and after each boot, by ${init === 'systemd' ? 'systemd' : 'OpenRC'} (ovpn-killswitch-watch).`,
  );
  if (readLockRecord(host)?.locked !== true)
    print(
      'This machine is not locked now: nothing is restored until you run "ovpn-killswitch lock".',
    );
}

const FLAGS = { json: JSON_FLAG } as const satisfies Flags;

export const watch: CliCommand = {
  name: 'watch',
  usage: 'watch [enable|disable] [--json]',
  group: 'setup',
  brief: 'restore the rules when a program changes them',
  summary:
    'Restore the rules within a second when another program changes them, while it runs; or set up a service that does so.',
  flags: FLAGS,
  words: [
    { name: 'enable|disable', what: 'a service that does so', choices: ['enable', 'disable'] },
  ],
  examples: [
    ['watch enable', 'a service of systemd or OpenRC, from now on and after each boot'],
    ['watch disable', 'ends and removes that service; the rules stay'],
    ['watch', 'in the foreground, for a supervisor of your own'],
  ],
  needsRoot: true,
  run: (context) => {
    const { host, args, print, report } = context;
    const { positionals } = parseArguments(watch, args, FLAGS, { least: 0, most: 1 });
    switch (positionals[0]) {
      case undefined: {
        if (report.isJson) throw misused(watch, '--json is for "watch enable" and "watch disable"');
        // A host without a deadline: the limits of one command, such as how long it may take, do
        // not apply to `watch`.
        const listener = startWatch(
          linuxHost({ name: 'watch', milliseconds: Number.POSITIVE_INFINITY, shown: 'info', say }),
          listen,
          process.pid,
        );
        for (const signal of ['SIGTERM', 'SIGINT'] as const)
          process.once(signal, () => listener.stop());
        return EXIT.ok;
      }
      case 'enable':
        enable(context);
        return EXIT.ok;
      case 'disable': {
        const { enabled } = readWatch(host);
        recoverStrategies(host, ['watch']);
        print(
          enabled
            ? 'The watch has ended: changed rules are not restored any more. The loaded rules stay.'
            : 'Nothing to disable: no watch service is set up.',
        );
        return EXIT.ok;
      }
      default:
        throw wrongWord(watch, positionals[0] ?? '', ['enable', 'disable']);
    }
  },
};
