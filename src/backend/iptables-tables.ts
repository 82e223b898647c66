import { type Chain, type Hook, isOfFinalLook, isOfFirstLook } from '../ruleset/ruleset.ts';

/**
 * The tables of our rules, in the order in which a script commits them. An ACCEPT ends only its own
 * table (iptables(8)): mangle checks again a packet that another program accepts above ours in
 * filter. Only mangle has POSTROUTING, where the interface that a packet really leaves by is known
 * (linux/netfilter_ipv4.h). Only filter has policies that outlive a flush. A script that fails in
 * mangle has changed nothing in filter.
 */
export const TABLES = ['mangle', 'filter'] as const;

/** The prefix of each chain of ours. */
export const CHAIN_PREFIX = 'KILLSWITCH-';

/** The second wall's table in an earlier version: our chains found there are removed. */
export const FORMER_TABLE = 'security' as const;

export const KNOWN_TABLES = [FORMER_TABLE, ...TABLES] as const;
export type Table = (typeof KNOWN_TABLES)[number];

/** A builtin chain with a jump to ours. */
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

/**
 * Returns the chains of a ruleset that a table holds: each table has one of the two looks at
 * outgoing packets.
 */
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
