import { followBoot } from '../boot/enable.ts';
import { describeResolvers } from '../dns/describe-resolvers.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import { gaps } from '../machine/known-endpoints.ts';
import { endpointText } from '../net/endpoint.ts';
import { describe } from '../policy/policy.ts';
import { lockMachine } from '../transaction/lock.ts';
import type { CliCommand } from './command.ts';
import { parseArguments } from './parse-arguments.ts';

export const lock: CliCommand = {
  name: 'lock',
  usage: 'lock [--force]',
  summary: 'Let nothing leave but the VPN client, what the settings allow on the LAN, and what goes through the tunnel.',
  examples: [
    ['lock', 'locks, or brings a locked machine to changed settings and profiles'],
    ['lock --force', 'locks even when no server can be found that could be reached then'],
  ],
  needsRoot: true,
  run: ({ host, args, print }) => {
    const { values } = parseArguments(lock, args, { force: { type: 'boolean' } });
    const { policy, choice, base, known } = lockMachine(host, { asks: true, needsEndpoint: values.force !== true });
    followBoot(host);
    host.log({ level: 'info', event: 'locked', message: describe(policy) });
    print(`Locked: ${describe(policy)}.`);
    for (const line of choice.trace) print(`  ${line}`);
    for (const endpoint of base.endpoints.slice(0, 5)) print(`  endpoint ${endpointText(endpoint)}`);
    if (base.endpoints.length > 5) print(`  and ${base.endpoints.length - 5} more endpoints`);
    for (const line of gaps(known)) print(`  ${line}`);
    if (base.endpoints.length === 0)
      print(
        '  No endpoint is known, so no VPN can connect: name one in KILLSWITCH_ENDPOINTS, or an address in the remote line of a profile.',
      );
    const resolvers = followResolversOrSay(host, true);
    if (resolvers instanceof KillswitchError) return resolvers.exit;
    if (resolvers.kind !== 'unchanged') print(`  ${describeResolvers(resolvers)}`);
    return EXIT.ok;
  },
};
