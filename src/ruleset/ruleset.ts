import type { Family } from '../net/address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Network } from '../net/network.ts';
import type { PortRange, Transport } from '../net/port.ts';
import type { Owner } from '../policy/policy.ts';
import type { LogLimit } from '../policy/settings.ts';

/** Where in the kernel a base chain runs (netfilter hook). */
export const HOOKS = ['input', 'forward', 'output'] as const;
export type Hook = (typeof HOOKS)[number];

/**
 * Why a rule exists. The same word is its section's function, its heading in docs/security.md, the comment on the kernel's rule and the
 * answer of `explain`. In rule order.
 */
export const RULE_IDS = [
  'loopback',
  'tunnel-address',
  'established',
  'endpoint',
  'dhcp',
  'neighbours',
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
  'lan',
  'lan-inbound',
  'rest',
] as const;
export type RuleId = (typeof RULE_IDS)[number];

/** Chains that every ruleset has, whether a tunnel is live or not: live tunnels add their rules to them. */
export const SHARED_CHAINS = [
  'endpoint',
  'live-endpoint',
  'tunnel-address',
  'tunnel-networks',
  'tunnel-input',
  'tunnel-forward',
  'tunnel-output',
] as const;
export type SharedChain = (typeof SHARED_CHAINS)[number];

/** A live tunnel's own chain. */
export type DeviceChain = `${Hook}-${InterfaceName}`;
export type ChainName = Hook | SharedChain | DeviceChain;

/** Fields that are there must all match; a field with a list matches any of it. `to`, `from`, `icmp` and `endpoints` hold one family. */
export interface Match {
  readonly family?: Family;
  readonly in?: InterfaceName;
  readonly notIn?: InterfaceName;
  readonly out?: InterfaceName;
  readonly from?: readonly Network[];
  readonly to?: readonly Network[];
  readonly endpoints?: readonly Endpoint[];
  readonly transports?: readonly Transport[];
  readonly fromPorts?: readonly PortRange[];
  readonly toPorts?: readonly PortRange[];
  /** ICMP or ICMPv6 types, by `family`. */
  readonly icmp?: readonly number[];
  readonly conntrack?: readonly ('established' | 'related')[];
  readonly owner?: Owner;
  /** From one second since 1970 to another, both included, by the machine's clock. */
  readonly during?: { readonly from: number; readonly until: number };
}

/** `jump` and `log` do not decide: after them the next rule is asked, unless a rule of the jumped-to chain decided. */
export type Verdict = 'accept' | 'drop' | 'reject' | { readonly jump: ChainName } | { readonly log: LogLimit };

export interface Rule {
  readonly id: RuleId;
  readonly match: Match;
  readonly verdict: Verdict;
}

export interface Chain {
  readonly name: ChainName;
  readonly rules: readonly Rule[];
}

/** Only what is ours, in an order where every chain stands before those that jump to it. A base chain's policy is drop. */
export type Ruleset = readonly Chain[];

export function isHook(name: ChainName): name is Hook {
  return (HOOKS as readonly string[]).includes(name);
}

/** Whether the order of a chain's rules decides anything: the rules that tunnels add to a shared chain exclude each other. */
export function isOrdered(name: string): boolean {
  return name === 'endpoint' || !(SHARED_CHAINS as readonly string[]).includes(name);
}
