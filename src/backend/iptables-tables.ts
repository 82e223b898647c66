import { type Chain, type Hook, isOfFinalLook, isOfFirstLook } from '../ruleset/ruleset.ts';

/**
 * Where our rules stand, in the order in which a script commits them. An ACCEPT ends its table
 * alone (iptables(8)): what somebody accepts above ours in filter is asked again in mangle. Only
 * mangle has POSTROUTING, where the interface that a packet really leaves by is known
 * (linux/netfilter_ipv4.h); filter alone has policies that outlive a flush. A script that fails in
 * mangle has changed nothing in filter.
 */
export const TABLES = ['mangle', 'filter'] as const;

/** How the name of each chain of ours begins. */
export const CHAIN_PREFIX = 'KILLSWITCH-';

/** Where an earlier version had its second wall: whatever is found there goes. */
export const FORMER_TABLE = 'security' as const;

export const KNOWN_TABLES = [FORMER_TABLE, ...TABLES] as const;
export type Table = (typeof KNOWN_TABLES)[number];

/** A builtin chain that we jump from. */
export type BuiltinName = 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';

export interface Builtin {
  readonly hook: Hook;
  readonly chain: BuiltinName;
}

const [INPUT, FORWARD, OUTPUT, POSTROUTING] = (
  [
    ['input', 'INPUT'],
    ['forward', 'FORWARD'],
    ['output', 'OUTPUT'],
    ['postrouting', 'POSTROUTING'],
  ] as const
).map(([hook, chain]): Builtin => ({ hook, chain })) as [Builtin, Builtin, Builtin, Builtin];

/** The builtin chains of each table that lead to ours. */
export const BUILTINS: Readonly<Record<Table, readonly Builtin[]>> = {
  security: [INPUT, FORWARD, OUTPUT],
  mangle: [INPUT, FORWARD, POSTROUTING],
  filter: [INPUT, FORWARD, OUTPUT],
};

/** The chains of a ruleset that a table holds: each has one of the two looks at what leaves. */
export function inTable<Any extends Chain>(table: Table, chains: readonly Any[]): readonly Any[] {
  switch (table) {
    case 'filter':
      return chains.filter(({ name }) => !isOfFinalLook(name));
    case 'mangle':
      return chains.filter(({ name }) => !isOfFirstLook(name));
    case 'security':
      return [];
    default:
      return table satisfies never;
  }
}
