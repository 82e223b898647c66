import type { Family } from '../net/address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { PortRange } from '../net/port.ts';
import type { ChainName, Match, Rule } from '../ruleset/ruleset.ts';
import { splitReject } from '../ruleset/split-reject.ts';

/** Returns one value as it is, several as an anonymous set in a stable order. */
function anyOf(values: readonly string[]): string {
  const [only, ...more] = values;
  return only !== undefined && more.length === 0 ? only : `{ ${[...values].sort().join(', ')} }`;
}

function rangeText({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

function hostText(text: string): string {
  return text.replace(/\/(32|128)$/, '');
}

function ownerText(owner: NonNullable<Match['owner']>): string {
  return owner.kind === 'uid'
    ? `meta skuid ${owner.uid}`
    : `meta mark 0x${owner.mark.toString(16).padStart(8, '0')}`;
}

/** Returns the name of one family's set of endpoints: `nft -t list` leaves its elements out. */
export function setName(family: Family): string {
  return family === 'ipv6' ? 'endpoint6' : 'endpoint4';
}

export function elementsText(endpoints: readonly Endpoint[]): string {
  return endpoints
    .map(({ address, transport, port }) => `${address.text} . ${transport} . ${port}`)
    .sort()
    .join(', ');
}

/**
 * Whether a named set holds a chain's endpoints: there may be thousands, and a hook that reads the
 * rules need not read them.
 */
export function hasSets(chain: ChainName): boolean {
  return chain === 'endpoint';
}

/** Lower bound of a length range: nft lists a range from 0 differently. */
const SHORTEST = 1;

/** The set whose elements pair one interface with itself. */
export const ONE_BRIDGE = 'one_bridge';

/**
 * Returns the name of one family's set of questions to many on the LAN: interface, address and
 * port.
 */
export function askedSet(family: Family): string {
  return family === 'ipv6' ? 'asked6' : 'asked4';
}

/** Ethertypes of IPv4 and IPv6 (linux/if_ether.h). */
const IP_ETHERTYPES = [0x0800, 0x86dd];

/**
 * Matches a bridged frame at a hook (net/bridge/br_netfilter_hooks.c). At `forward` the bridge
 * stands for both interfaces. nft cannot compare two interfaces, so the packet first adds the pair
 * of its own bridge with itself to a set. That set holds no other pairs. A packet that is routed
 * back into its bridge passes this, but not `postrouting`. There a routed packet has an input
 * interface (Linux 5.7), and a packet of this machine has no Ethernet header yet. A bridged frame
 * has a header and no interface.
 */
const BRIDGED: Readonly<Record<NonNullable<Match['bridged']>, readonly string[]>> = {
  forward: [
    `meta iifkind "bridge"`,
    `update @${ONE_BRIDGE} { meta iif . meta iif }`,
    `meta iif . meta oif @${ONE_BRIDGE}`,
  ],
  postrouting: [
    `meta iif 0`,
    `meta oifkind "bridge"`,
    `@ll,96,16 ${anyOf(IP_ETHERTYPES.map(String))}`,
  ],
};

/**
 * Returns a match in nft(8)'s words, spelled as `nft list` spells it. With `named`, the set of
 * their family holds its endpoints.
 */
function matchText(match: Match, named = false): readonly string[] {
  const { family, endpoints, transports, fromPorts, toPorts } = match;
  const ip = family === 'ipv6' ? 'ip6' : 'ip';
  const hasAddress =
    match.from !== undefined ||
    match.to !== undefined ||
    endpoints !== undefined ||
    match.icmp !== undefined;
  const transport = transports?.length === 1 ? transports[0] : undefined;
  const hasPorts = fromPorts !== undefined || toPorts !== undefined;
  const ports = transport ?? 'th';
  // The statement and the match below name the transport themselves.
  const isDiscovery = match.toMany === true || match.asked === true;
  return [
    ...(match.bridged === undefined ? [] : BRIDGED[match.bridged]),
    ...(match.in === undefined ? [] : [`iifname "${match.in}"`]),
    ...(match.notIn === undefined ? [] : [`iifname != "${match.notIn}"`]),
    ...(match.out === undefined ? [] : [`oifname "${match.out}"`]),
    ...(match.notOut === undefined ? [] : [`oifname != "${match.notOut}"`]),
    ...(match.owner === undefined ? [] : [ownerText(match.owner)]),
    ...(family !== undefined && !hasAddress ? [`meta nfproto ${family}`] : []),
    ...(match.from === undefined
      ? []
      : [`${ip} saddr ${anyOf(match.from.map(({ text }) => hostText(text)))}`]),
    ...(match.to === undefined
      ? []
      : [`${ip} daddr ${anyOf(match.to.map(({ text }) => hostText(text)))}`]),
    ...(endpoints === undefined
      ? []
      : [
          `${ip} daddr . meta l4proto . th dport ${named ? `@${setName(family ?? 'ipv4')}` : `{ ${elementsText(endpoints)} }`}`,
        ]),
    ...(transports === undefined || (transport !== undefined && (hasPorts || isDiscovery))
      ? []
      : [`meta l4proto ${anyOf(transports)}`]),
    ...(fromPorts === undefined ? [] : [`${ports} sport ${anyOf(fromPorts.map(rangeText))}`]),
    ...(toPorts === undefined ? [] : [`${ports} dport ${anyOf(toPorts.map(rangeText))}`]),
    ...(match.toMany === undefined ? [] : ['fib daddr type { broadcast, multicast }']),
    ...(match.asked === undefined
      ? []
      : [`meta iif . ${ip} daddr . ${ports} dport @${askedSet(family ?? 'ipv4')}`]),
    ...(match.icmp === undefined
      ? []
      : [`${family === 'ipv6' ? 'icmpv6' : 'icmp'} type ${anyOf(match.icmp.map(String))}`]),
    ...(match.icmpCode === undefined
      ? []
      : [`${family === 'ipv6' ? 'icmpv6' : 'icmp'} code ${match.icmpCode}`]),
    ...(match.longest === undefined ? [] : [`ip6 length ${SHORTEST}-${match.longest}`]),
    ...(match.rate === undefined ? [] : [`limit rate ${match.rate.count}/${match.rate.unit}`]),
    ...(match.during === undefined ? [] : [`meta time ${match.during.from}-${match.during.until}`]),
    ...(match.conntrack === undefined ? [] : [`ct state ${[...match.conntrack].sort().join(',')}`]),
  ];
}

/**
 * Returns a rule as one or two kernel rules. TCP is refused with a reset, everything else with an
 * ICMP error, which nft 0.9 calls a `type`.
 */
export function ruleTexts({ id, match, verdict }: Rule, named = false): readonly string[] {
  const words = matchText(match, named);
  const line = (...last: readonly string[]) => [...words, ...last, `comment "${id}"`].join(' ');
  if (typeof verdict !== 'string' && 'log' in verdict)
    return [
      line(
        `limit rate ${verdict.log.count}/${verdict.log.unit}`,
        'counter',
        `log prefix "killswitch ${id}: "`,
      ),
    ];
  if (typeof verdict !== 'string' && 'remember' in verdict) {
    const { family = 'ipv4' } = match;
    const ip = family === 'ipv6' ? 'ip6' : 'ip';
    return [
      line(
        `update @${askedSet(family)} { meta oif . ${ip} saddr . udp sport timeout ${verdict.remember}s }`,
        'counter',
      ),
    ];
  }
  if (typeof verdict !== 'string') return [line('counter', `jump ${verdict.jump}`)];
  if (verdict !== 'reject') return [line('counter', verdict)];
  const { tcp, others } = splitReject(match);
  const refused = (part: Match, how: string) =>
    [...matchText(part), 'counter', `reject with ${how}`, `comment "${id}"`].join(' ');
  return [
    ...tcp.map((part) => refused(part, 'tcp reset')),
    ...others.map((part) => refused(part, 'icmpx type port-unreachable')),
  ];
}
