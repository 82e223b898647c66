import { followBoot } from '../boot/enable.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import { carryOutDue } from '../transaction/due.ts';
import type { CliCommand, Flags } from './command.ts';
import { JSON_FLAG } from './json-flag.ts';
import { parseArguments } from './parse-arguments.ts';

const MESSAGES = {
  locked: 'locked again: "unlock --for" has expired',
  unlocked: 'open again: nobody confirmed the lock',
  'went-back': 'locked as before: nobody confirmed the new settings',
} as const;

const FLAGS = { json: JSON_FLAG } as const satisfies Flags;

export const due: CliCommand = {
  name: 'due',
  usage: 'due [--json]',
  group: 'internal',
  brief: 'do what a timer has missed',
  summary:
    'End what "lock --confirm", "unlock --for" or "portal" started, once its time has expired. Their timers call it.',
  flags: FLAGS,
  words: [],
  examples: [['due', 'only where a timer did not run']],
  needsRoot: true,
  run: ({ host, args, print, report }) => {
    parseArguments(due, args, FLAGS);
    const done = carryOutDue(host);
    if (done === 'nothing' || done === 'waits') {
      print('Nothing is due.');
      return EXIT.ok;
    }
    // The log already lists what passed the portal.
    if (done === 'portal-closed') return EXIT.ok;
    followBoot(host);
    host.log({ level: 'warn', event: `due-${done}`, message: MESSAGES[done] });
    const resolvers = followResolversOrSay(host, done !== 'unlocked');
    return resolvers instanceof KillswitchError ? report.fail(resolvers) : EXIT.ok;
  },
};
