import { followBoot } from '../boot/enable.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import { unlockMachine } from '../transaction/lock.ts';
import type { CliCommand } from './command.ts';
import { parseArguments } from './parse-arguments.ts';

export const unlock: CliCommand = {
  name: 'unlock',
  usage: 'unlock',
  summary: 'Open the machine: take away the rules and give the chain policies back as they were.',
  examples: [['unlock', 'opens; hooks then leave the firewall alone until the next lock']],
  needsRoot: true,
  run: ({ host, args, print }) => {
    parseArguments(unlock, args, {});
    const { removed } = unlockMachine(host);
    followBoot(host);
    host.log({ level: 'info', event: 'unlocked', message: 'unlocked: nothing is guarded until the next lock' });
    print(removed ? 'Unlocked: nothing is guarded until the next lock.' : 'Nothing of ours was loaded: nothing is guarded.');
    const resolvers = followResolversOrSay(host);
    return resolvers instanceof KillswitchError ? resolvers.exit : EXIT.ok;
  },
};
