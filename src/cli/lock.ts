import { EXIT } from '../errors.ts';
import { loadSettings } from '../machine/load-settings.ts';
import { endpointText } from '../net/endpoint.ts';
import { describe } from '../policy/policy.ts';
import { lockMachine } from '../transaction/lock.ts';
import type { CliCommand } from './command.ts';
import { parseArguments } from './parse-arguments.ts';

export const lock: CliCommand = {
  name: 'lock',
  usage: 'lock',
  summary: 'Let nothing leave but the VPN client, what the settings allow on the LAN, and what goes through the tunnel.',
  examples: [['lock', 'locks, or brings a locked machine to changed settings and profiles']],
  needsRoot: true,
  run: ({ host, args, print }) => {
    parseArguments(lock, args, {});
    const { policy, choice, base } = lockMachine(host, loadSettings(host));
    host.log({ level: 'info', event: 'locked', message: describe(policy) });
    print(`Locked: ${describe(policy)}.`);
    for (const line of choice.trace) print(`  ${line}`);
    for (const endpoint of base.endpoints.slice(0, 5)) print(`  endpoint ${endpointText(endpoint)}`);
    if (base.endpoints.length > 5) print(`  and ${base.endpoints.length - 5} more endpoints`);
    if (base.endpoints.length === 0)
      print(
        '  No endpoint is known, so no VPN can connect: name one in KILLSWITCH_ENDPOINTS, or an address in the remote line of a profile.',
      );
    return EXIT.ok;
  },
};
