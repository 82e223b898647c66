import { multisetDifference } from './multiset-difference.ts';
import type { Chain, Rule, Ruleset } from './ruleset.ts';
import { isFixed } from './ruleset.ts';

/** Rules to append to a chain. `created`: the chain is new. */
export interface Addition extends Chain {
  readonly created: boolean;
}

const text = (rule: Rule) => JSON.stringify(rule);

/**
 * Returns the additions that turn `from` into `to`; undefined when a rule would have to go, change
 * or come between.
 */
export function additions(from: Ruleset, to: Ruleset): readonly Addition[] | undefined {
  const old = new Map(from.map((chain) => [chain.name, chain]));
  if (from.some(({ name }) => !to.some((chain) => chain.name === name))) return undefined;
  const added: Addition[] = [];
  for (const chain of to) {
    const before = old.get(chain.name);
    if (before === undefined) {
      added.push({ ...chain, created: true });
      continue;
    }
    if (before === chain) continue;
    // Two tunnels to one endpoint add the same rule twice.
    const fresh = multisetDifference(chain.rules, before.rules, text);
    if (multisetDifference(before.rules, chain.rules, text).length > 0) return undefined;
    if (fresh.length > 0 && isFixed(chain.name)) return undefined;
    if (fresh.length > 0) added.push({ name: chain.name, rules: fresh, created: false });
  }
  return added;
}
