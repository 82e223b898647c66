import { contains, networkOf } from '../net/network.ts';
import type { PortRange } from '../net/port.ts';
import type { Packet } from './packet.ts';
import type { Chain, ChainName, Match, Rule, Ruleset } from './ruleset.ts';

/** Which rule decides about a packet, and how. `rule` is undefined when none did: the chain policy, which is drop. */
export interface Decision {
  readonly verdict: 'accept' | 'drop' | 'reject';
  readonly rule: Rule | undefined;
  readonly chain: ChainName;
}

function inRanges(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ first, last }) => first <= port && port <= last);
}

/** Whether every field of a match holds for a packet. */
export function matches(match: Match, packet: Packet): boolean {
  const { payload } = packet;
  const transport = 'transport' in payload ? payload : undefined;
  const within = (networks: Match['to'], address: Packet['to']) => {
    if (networks === undefined) return true;
    const host = networkOf(address);
    return networks.some((network) => contains(network, host));
  };
  return (
    (match.family === undefined || match.family === packet.to.family) &&
    (match.in === undefined || match.in === packet.in) &&
    (match.notIn === undefined || match.notIn !== packet.in) &&
    (match.out === undefined || match.out === packet.out) &&
    within(match.from, packet.from) &&
    within(match.to, packet.to) &&
    (match.endpoints === undefined ||
      match.endpoints.some(
        (endpoint) =>
          endpoint.address.text === packet.to.text && endpoint.transport === transport?.transport && endpoint.port === transport.toPort,
      )) &&
    (match.transports === undefined || (transport !== undefined && match.transports.includes(transport.transport))) &&
    (match.fromPorts === undefined || (transport !== undefined && inRanges(match.fromPorts, transport.fromPort))) &&
    (match.toPorts === undefined || (transport !== undefined && inRanges(match.toPorts, transport.toPort))) &&
    (match.icmp === undefined || ('icmp' in payload && match.icmp.includes(payload.icmp))) &&
    (match.conntrack === undefined || match.conntrack.some((state) => state === packet.conntrack)) &&
    (match.during === undefined || packet.at === undefined || (match.during.from <= packet.at && packet.at <= match.during.until)) &&
    (match.owner === undefined || (match.owner.kind === 'uid' ? match.owner.uid === packet.uid : match.owner.mark === packet.mark))
  );
}

function walk(chains: ReadonlyMap<ChainName, Chain>, name: ChainName, packet: Packet): Decision | undefined {
  for (const rule of chains.get(name)?.rules ?? []) {
    if (!matches(rule.match, packet)) continue;
    if (typeof rule.verdict === 'string') return { verdict: rule.verdict, rule, chain: name };
    if ('log' in rule.verdict) continue;
    const decision = walk(chains, rule.verdict.jump, packet);
    if (decision !== undefined) return decision;
  }
  return undefined;
}

/** What the kernel does with a packet under a ruleset, as far as our chains decide it. */
export function evaluate(ruleset: Ruleset, packet: Packet): Decision {
  const chains = new Map(ruleset.map((chain) => [chain.name, chain]));
  return walk(chains, packet.hook, packet) ?? { verdict: 'drop', rule: undefined, chain: packet.hook };
}
