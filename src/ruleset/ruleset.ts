import type { Family } from '../net/address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Interfaces } from '../net/interface-pattern.ts';
import type { Network } from '../net/network.ts';
import type { PortRange, Transport } from '../net/port.ts';
import type { Owner } from '../policy/policy.ts';
import type { LogLimit } from '../policy/settings.ts';

/**
 * The base chains' places in the kernel (netfilter hooks). `postrouting` decides about outgoing
 * packets: it sees the interface that a packet really leaves by. `output` sees the first route's
 * interface, and answers local programs early.
 */
export const HOOKS = ['input', 'forward', 'output', 'postrouting'] as const;
export type Hook = (typeof HOOKS)[number];

/**
 * The rules' reasons, in rule order. Each word is also its section's function, its heading in
 * docs/reference/rules.md, the comment on the kernel's rule and the answer of `explain`.
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

/** Chains of only the hook `output`, which looks at a packet first. */
const FIRST_CHAINS = ['tunnel-output', 'first-offloaded', 'first-networks'] as const;

/** Chains of only the hook `postrouting`, which decides about outgoing packets. */
const FINAL_CHAINS = ['tunnel-source', 'tunnel-egress', 'from-tunnel', 'tunnel-networks'] as const;

/**
 * Chains of every ruleset, with or without a live tunnel. Live tunnels add to all but the fixed
 * ones.
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
 * A rule's match. All present fields must match, and a field with a list matches any item. `to`,
 * `from`, `icmp` and `endpoints` hold one family.
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
  /** At most so many packets in a unit of time, with a burst of five. */
  readonly rate?: LogLimit;
  readonly conntrack?: readonly ('established' | 'related')[];
  readonly owner?: Owner;
  /** A frame between two ports of one bridge, at the hook that sees it (br_netfilter). */
  readonly bridged?: 'forward' | 'postrouting';
  /** To many: a multicast group, or the broadcast address of one of this machine's networks. */
  readonly toMany?: true;
  /**
   * To the address and port that a question to many left from, by the same interface, at most some
   * seconds later.
   */
  readonly asked?: true;
  /** A period in seconds since 1970, both ends included, by the machine's clock. */
  readonly during?: { readonly from: number; readonly until: number };
}

/**
 * `jump`, `log` and `remember` do not decide: the next rule follows, unless a rule of the jumped-to
 * chain decided. `remember` lets a match `asked` hold for so many seconds.
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
 * Our own chains. Every chain comes before those that jump to it. A base chain's policy is drop.
 */
export type Ruleset = readonly Chain[];

export function isHook(name: ChainName): name is Hook {
  return (HOOKS as readonly string[]).includes(name);
}

/** Whether no tunnel changes a chain: true for the base chains, and the lists that they jump to. */
export function isFixed(name: ChainName): boolean {
  return isHook(name) || (FIXED_CHAINS as readonly string[]).includes(name);
}

/**
 * Whether the order of a chain's rules matters. Rules that tunnels add to a shared chain exclude
 * each other.
 */
export function isOrdered(name: string): boolean {
  return (
    (FIXED_CHAINS as readonly string[]).includes(name) ||
    !(SHARED_CHAINS as readonly string[]).includes(name)
  );
}

/** Whether a chain serves only the first look, at the hook `output`. */
export function isOfFirstLook(name: ChainName): boolean {
  return (
    name === 'output' ||
    name.startsWith('output-') ||
    (FIRST_CHAINS as readonly string[]).includes(name)
  );
}

/** Whether a chain serves only the hook `postrouting`. */
export function isOfFinalLook(name: ChainName): boolean {
  return (
    name === 'postrouting' ||
    name.startsWith('postrouting-') ||
    (FINAL_CHAINS as readonly string[]).includes(name)
  );
}

/**
 * Whether the first look has a purpose: it can tell a program of a refusal, which `postrouting`
 * cannot.
 */
export function answersEarly(ruleset: Ruleset): boolean {
  return ruleset.some(
    ({ name, rules }) => isOfFirstLook(name) && rules.some(({ verdict }) => verdict === 'reject'),
  );
}
