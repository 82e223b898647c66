import type { Family } from '../net/address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Interfaces } from '../net/interface-pattern.ts';
import type { Network } from '../net/network.ts';
import type { PortRange, Transport } from '../net/port.ts';
import type { Owner } from '../policy/policy.ts';
import type { LogLimit } from '../policy/settings.ts';

/**
 * Where in the kernel a base chain runs (netfilter hook). What leaves is decided at `postrouting`,
 * which sees the interface that a packet really leaves by; `output` sees the one it was routed to
 * at first, and answers local programs early.
 */
export const HOOKS = ['input', 'forward', 'output', 'postrouting'] as const;
export type Hook = (typeof HOOKS)[number];

/**
 * Why a rule exists. The same word is its section's function, its heading in docs/reference/rules.md, the
 * comment on the kernel's rule and the answer of `explain`. In rule order.
 */
export const RULE_IDS = [
  'loopback',
  'tunnel-address',
  'established',
  'endpoint',
  'dhcp',
  'neighbours',
  'bridged',
  'tunnel-source',
  'fragments',
  'tunnel',
  'no-ipv6',
  'tunnel-dns',
  'lan-dns',
  'portal',
  'other-dns',
  'tunnel-inbound',
  'forward',
  'ssh-session',
  'endpoint-others',
  'tunnel-networks',
  'lan-discovery',
  'lan',
  'lan-inbound',
  'rest',
] as const;
export type RuleId = (typeof RULE_IDS)[number];

/** Chains that no tunnel changes, in the order of their rules. */
const FIXED_CHAINS = ['endpoint', 'answers'] as const;

/** Chains of the hook `output` alone, which looks at a packet first. */
const FIRST_CHAINS = ['tunnel-output', 'first-offloaded', 'first-networks'] as const;

/** Chains of the hook `postrouting` alone, which decides about what leaves. */
const FINAL_CHAINS = ['tunnel-source', 'tunnel-egress', 'from-tunnel', 'tunnel-networks'] as const;

/**
 * Chains that every ruleset has, whether a tunnel is live or not: live tunnels add to all but the
 * fixed ones.
 */
export const SHARED_CHAINS = [
  ...FIXED_CHAINS,
  'live-endpoint',
  'tunnel-address',
  'tunnel-input',
  'tunnel-forward',
  ...FIRST_CHAINS,
  ...FINAL_CHAINS,
] as const;
export type SharedChain = (typeof SHARED_CHAINS)[number];

/** A live tunnel's own chain. */
export type DeviceChain = `${Hook}-${InterfaceName}`;
export type ChainName = Hook | SharedChain | DeviceChain;

/**
 * Fields that are there must all match; a field with a list matches any of it. `to`, `from`, `icmp`
 * and `endpoints` hold one family.
 */
export interface Match {
  readonly family?: Family;
  readonly in?: Interfaces;
  readonly notIn?: InterfaceName;
  readonly out?: Interfaces;
  readonly notOut?: InterfaceName;
  readonly from?: readonly Network[];
  readonly to?: readonly Network[];
  readonly endpoints?: readonly Endpoint[];
  readonly transports?: readonly Transport[];
  readonly fromPorts?: readonly PortRange[];
  readonly toPorts?: readonly PortRange[];
  /** ICMP or ICMPv6 types, by `family`. */
  readonly icmp?: readonly number[];
  /** ICMP or ICMPv6 code, of the types in `icmp`. */
  readonly icmpCode?: number;
  /** The most bytes that may follow the IPv6 header; for `family` ipv6 alone. */
  readonly longest?: number;
  /** At most so many packets in a unit of time, and five at once. */
  readonly rate?: LogLimit;
  readonly conntrack?: readonly ('established' | 'related')[];
  readonly owner?: Owner;
  /**
   * A frame between two ports of one bridge, at the hook that the kernel shows it to
   * (br_netfilter).
   */
  readonly bridged?: 'forward' | 'postrouting';
  /** To many: a multicast group, or the broadcast address of a network of this machine's. */
  readonly toMany?: true;
  /**
   * To where a question to many has left from, by the interface that it left by, some seconds ago
   * at most.
   */
  readonly asked?: true;
  /** From one second since 1970 to another, both included, by the machine's clock. */
  readonly during?: { readonly from: number; readonly until: number };
}

/**
 * `jump`, `log` and `remember` do not decide: after them the next rule is asked, unless a rule of
 * the jumped-to chain decided. `remember` lets a match `asked` hold for so many seconds.
 */
export type Verdict =
  | 'accept'
  | 'drop'
  | 'reject'
  | { readonly jump: ChainName }
  | { readonly log: LogLimit }
  | { readonly remember: number };

export interface Rule {
  readonly id: RuleId;
  readonly match: Match;
  readonly verdict: Verdict;
}

export interface Chain {
  readonly name: ChainName;
  readonly rules: readonly Rule[];
}

/**
 * Only what is ours, in an order where every chain stands before those that jump to it. A base
 * chain's policy is drop.
 */
export type Ruleset = readonly Chain[];

export function isHook(name: ChainName): name is Hook {
  return (HOOKS as readonly string[]).includes(name);
}

/** Whether no tunnel changes a chain: the base chains, and the lists that they jump to. */
export function isFixed(name: ChainName): boolean {
  return isHook(name) || (FIXED_CHAINS as readonly string[]).includes(name);
}

/**
 * Whether the order of a chain's rules decides anything: the rules that tunnels add to a shared
 * chain exclude each other.
 */
export function isOrdered(name: string): boolean {
  return (
    (FIXED_CHAINS as readonly string[]).includes(name) ||
    !(SHARED_CHAINS as readonly string[]).includes(name)
  );
}

/** Whether a chain serves the first look, at the hook `output`, and nothing else. */
export function isOfFirstLook(name: ChainName): boolean {
  return (
    name === 'output' ||
    name.startsWith('output-') ||
    (FIRST_CHAINS as readonly string[]).includes(name)
  );
}

/** Whether a chain serves the hook `postrouting`, and nothing else. */
export function isOfFinalLook(name: ChainName): boolean {
  return (
    name === 'postrouting' ||
    name.startsWith('postrouting-') ||
    (FINAL_CHAINS as readonly string[]).includes(name)
  );
}

/**
 * Whether the first look has anything to say: it can tell a program that it is refused, which
 * `postrouting` cannot.
 */
export function answersEarly(ruleset: Ruleset): boolean {
  return ruleset.some(
    ({ name, rules }) => isOfFirstLook(name) && rules.some(({ verdict }) => verdict === 'reject'),
  );
}
