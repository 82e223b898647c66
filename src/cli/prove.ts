import { EXIT, KillswitchError } from '../errors.ts';
import type { CliCommand, Flags } from './command.ts';
import { misused, parseArguments } from './parse-arguments.ts';
import { proveHere } from './prove-here.ts';
import { proveInNamespaces } from './prove-in-namespaces.ts';

const FLAGS = {
  here: { type: 'boolean', what: 'on this machine, as it is now' },
  reconnect: { type: 'boolean', what: 'while your OpenVPN reconnects' },
} as const satisfies Flags;

export const prove: CliCommand = {
  name: 'prove',
  usage: 'prove [--here [--reconnect]]',
  group: 'look',
  brief: 'send packets that must not leave, and count those that do',
  summary:
    'Send packets that must not leave, as a user without rights, and count those that leave. It does so through every fault in a small internet of its own, or on this machine as it is. Exit 1 if anything left.',
  flags: FLAGS,
  words: [],
  exits: [[EXIT.failed, 'something left, or nothing was proven']],
  examples: [
    [
      'prove',
      'in network namespaces, with a real OpenVPN: under a minute, and nothing of this machine is touched',
    ],
    [
      'prove --here',
      'on this machine, as it is now: to addresses that belong to nobody; harmless and over in seconds',
    ],
    ['prove --here --reconnect', 'the same while your OpenVPN reconnects (SIGUSR1)'],
  ],
  needsRoot: false,
  // Each step has its own timeout. The counters must be removed however many interfaces there are.
  endless: () => true,
  run: async (context) => {
    const { values } = parseArguments(prove, context.args, FLAGS);
    if (values.reconnect === true && values.here !== true)
      throw misused(prove, '--reconnect needs --here');
    if (values.here === true && !context.host.mayChangeRules())
      throw new KillswitchError(
        'NOT_ROOT',
        '"prove --here" needs root',
        'Run it as root: sudo ovpn-killswitch prove --here',
      );
    const proven = await (values.here === true
      ? proveHere(context, values.reconnect === true)
      : proveInNamespaces(context));
    return proven ? EXIT.ok : EXIT.failed;
  },
};
