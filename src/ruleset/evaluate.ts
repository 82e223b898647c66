import type { Address } from '../net/address.ts';
import { means } from '../net/interface-pattern.ts';
import { contains, type Network, networkOf } from '../net/network.ts';
import type { PortRange } from '../net/port.ts';
import type { Packet } from './packet.ts';
import type { Chain, ChainName, Hook, Match, Rule, Ruleset } from './ruleset.ts';

/**
 * The rule that decides about a packet, and its verdict. `rule` is undefined when none did: then
 * the chain policy, drop, decides.
 */
export interface Decision {
  readonly verdict: 'accept' | 'drop' | 'reject';
  readonly rule: Rule | undefined;
  readonly chain: ChainName;
}

function inRanges(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ first, last }) => first <= port && port <= last);
}

/** Caches: the same few packets and rulesets are judged again and again. */
const hosts = new WeakMap<Address, Network>();
const indexes = new WeakMap<Ruleset, ReadonlyMap<ChainName, Chain>>();

function hostOf(address: Address): Network {
  const host = hosts.get(address) ?? networkOf(address);
  hosts.set(address, host);
  return host;
}

function indexOf(ruleset: Ruleset): ReadonlyMap<ChainName, Chain> {
  const index = indexes.get(ruleset) ?? new Map(ruleset.map((chain) => [chain.name, chain]));
  indexes.set(ruleset, index);
  return index;
}

/**
 * Whether an address is a multicast group's, or the broadcast address of all hosts of a link. The
 * broadcast address of one network looks like a host's.
 */
function isToMany({ family, text }: Address): boolean {
  return family === 'ipv6'
    ? text.startsWith('ff')
    : text === '255.255.255.255' || /^2(2[4-9]|3\d)\./.test(text);
}

/** Whether every field of a match holds for a packet. */
export function matches(match: Match, packet: Packet): boolean {
  const { payload } = packet;
  const transport = 'transport' in payload ? payload : undefined;
  const within = (networks: Match['to'], address: Packet['to']) => {
    if (networks === undefined) return true;
    const host = hostOf(address);
    return networks.some((network) => contains(network, host));
  };
  return (
    (match.family === undefined || match.family === packet.to.family) &&
    (match.in === undefined || (packet.in !== undefined && means(match.in, packet.in))) &&
    (match.notIn === undefined || match.notIn !== packet.in) &&
    (match.out === undefined || (packet.out !== undefined && means(match.out, packet.out))) &&
    (match.notOut === undefined || match.notOut !== packet.out) &&
    within(match.from, packet.from) &&
    within(match.to, packet.to) &&
    (match.endpoints === undefined ||
      match.endpoints.some(
        (endpoint) =>
          endpoint.address.text === packet.to.text &&
          endpoint.transport === transport?.transport &&
          endpoint.port === transport.toPort,
      )) &&
    (match.transports === undefined ||
      (transport !== undefined && match.transports.includes(transport.transport))) &&
    (match.fromPorts === undefined ||
      (transport !== undefined && inRanges(match.fromPorts, transport.fromPort))) &&
    (match.toPorts === undefined ||
      (transport !== undefined && inRanges(match.toPorts, transport.toPort))) &&
    (match.icmp === undefined || ('icmp' in payload && match.icmp.includes(payload.icmp))) &&
    (match.icmpCode === undefined ||
      ('icmp' in payload && match.icmpCode === (payload.icmpCode ?? 0))) &&
    (match.conntrack === undefined ||
      match.conntrack.some((state) => state === packet.conntrack)) &&
    // Assumes that no rate is exceeded.
    (match.longest === undefined || packet.bytes === undefined || packet.bytes <= match.longest) &&
    (match.toMany === undefined || isToMany(packet.to)) &&
    (match.asked === undefined || packet.asked === true) &&
    (match.bridged === undefined || packet.bridged === true) &&
    (match.during === undefined ||
      packet.at === undefined ||
      (match.during.from <= packet.at && packet.at <= match.during.until)) &&
    (match.owner === undefined ||
      (match.owner.kind === 'uid'
        ? match.owner.uid === packet.uid
        : match.owner.mark === packet.mark))
  );
}

function walk(
  chains: ReadonlyMap<ChainName, Chain>,
  name: ChainName,
  packet: Packet,
): Decision | undefined {
  for (const rule of chains.get(name)?.rules ?? []) {
    if (!matches(rule.match, packet)) continue;
    if (typeof rule.verdict === 'string') return { verdict: rule.verdict, rule, chain: name };
    if (!('jump' in rule.verdict)) continue;
    const decision = walk(chains, rule.verdict.jump, packet);
    if (decision !== undefined) return decision;
  }
  return undefined;
}

/** Returns the kernel's decision about a packet under a ruleset, as far as our chains decide it. */
export function evaluate(ruleset: Ruleset, packet: Packet): Decision {
  return (
    walk(indexOf(ruleset), packet.hook, packet) ?? {
      verdict: 'drop',
      rule: undefined,
      chain: packet.hook,
    }
  );
}

/** The hooks with chains of ours: a backend may leave out the first look, or lack the final one. */
export interface Looks {
  readonly first: boolean;
  readonly final: boolean;
  /** Whether the backend can tell a bridged frame from a routed packet. */
  readonly frames: boolean;
  /** Whether the backend remembers questions to the LAN. */
  readonly answers: boolean;
}

/** Returns the hooks that a packet meets, in order, from its first one. */
function hooksFrom(hook: Hook, { first, final }: Pick<Looks, 'first' | 'final'>): readonly Hook[] {
  switch (hook) {
    case 'input':
    case 'postrouting':
      return [hook];
    case 'forward':
      return final ? [hook, 'postrouting'] : [hook];
    case 'output':
      return [...(first ? [hook] : []), ...(final ? (['postrouting'] as const) : [])];
    default:
      return hook satisfies never;
  }
}

/**
 * Returns the decision at all hooks that a packet meets: the first hook that does not accept it
 * decides. `leavesBy` is the interface that it really leaves by, where it is rerouted after the
 * hook `output`.
 */
export function judge(
  ruleset: Ruleset,
  packet: Packet,
  looks: Looks,
  leavesBy: string | undefined = packet.out,
): Decision {
  const decisions = hooksFrom(packet.hook, looks).map((hook) =>
    evaluate(ruleset, {
      ...packet,
      hook,
      ...(hook === 'postrouting' ? { out: leavesBy } : {}),
      bridged: packet.bridged === true && looks.frames,
      asked: packet.asked === true && looks.answers,
    }),
  );
  return (
    decisions.find(({ verdict }) => verdict !== 'accept') ??
    decisions.at(-1) ??
    evaluate(ruleset, packet)
  );
}
