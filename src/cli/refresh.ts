import { followNftables } from '../boot/follow-nftables.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import { gaps } from '../record/gaps.ts';
import { refreshMachine } from '../transaction/refresh.ts';
import type { CliCommand, Flags } from './command.ts';
import { JSON_FLAG } from './json-flag.ts';
import { parseArguments } from './parse-arguments.ts';

const FLAGS = { json: JSON_FLAG } as const satisfies Flags;

export const refresh: CliCommand = {
  name: 'refresh',
  usage: 'refresh [--json]',
  group: 'trouble',
  brief: 'resolve the names of the VPN servers again',
  summary:
    'Resolve the names of the VPN servers again, through the tunnel, and pin the new addresses. The hooks do this after each connect.',
  flags: FLAGS,
  words: [],
  examples: [['refresh', 'after a provider has moved a server']],
  needsRoot: true,
  run: ({ host, args, print, progress, report }) => {
    parseArguments(refresh, args, FLAGS);
    progress('asking for names');
    const { known, converged } = refreshMachine(host);
    followNftables(host);
    const resolvers = followResolversOrSay(host);
    const names = new Set(known?.named.map(({ name }) => name) ?? []).size;
    if (converged === undefined || known === undefined) {
      print(
        names === 0
          ? 'No profile names a server by a host name: nothing to resolve.'
          : 'Not locked: nothing is pinned, and no name was resolved.',
      );
      return resolvers instanceof KillswitchError ? report.fail(resolvers) : EXIT.ok;
    }
    const addresses = known.pins.flatMap((pin) => pin.addresses).length;
    host.log({
      level: 'info',
      event: 'refreshed',
      message: `${names} names, ${addresses} addresses`,
      fields: { applied: converged.applied },
    });
    print(
      `Resolved ${names} ${names === 1 ? 'name' : 'names'}: ${addresses} addresses are pinned.`,
    );
    for (const line of gaps(known)) print(`  ${line}`);
    return resolvers instanceof KillswitchError ? report.fail(resolvers) : EXIT.ok;
  },
};
