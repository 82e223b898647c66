import type { Chain, Rule } from '../ruleset/ruleset.ts';

/**
 * Where our rules stand, in the order in which a script commits them. An ACCEPT in filter ends that table alone: security is asked after it
 * (iptables(8); priorities in linux/netfilter_ipv4.h), and hardly any program touches it. What is in security is the second wall: it must let
 * a packet pass before filter may, so it is committed first; a script that fails there has changed nothing in filter.
 */
export const TABLES = ['security', 'filter'] as const;
export type Table = (typeof TABLES)[number];

/** Whether a rule stands in every table as it is. */
function standsAnywhere({ verdict }: Rule): boolean {
  return typeof verdict === 'string' ? verdict !== 'reject' : !('log' in verdict);
}

/** Chains as a table takes them. Outside filter there is no REJECT (iptables-extensions(8)), and what was logged in filter is not logged again. */
export function inTable<Any extends Chain>(table: Table, chains: readonly Any[]): readonly Any[] {
  if (table === 'filter' || chains.every(({ rules }) => rules.every(standsAnywhere))) return chains;
  return chains.map((chain) => ({
    ...chain,
    rules: chain.rules.flatMap(({ verdict, ...rule }): readonly Rule[] => {
      if (typeof verdict === 'string') return [{ ...rule, verdict: verdict === 'reject' ? 'drop' : verdict }];
      return 'log' in verdict ? [] : [{ ...rule, verdict }];
    }),
  }));
}
