import type { Addition } from './additions.ts';
import { multisetDifference } from './multiset-difference.ts';
import { type Chain, isOrdered, type Rule, type Ruleset } from './ruleset.ts';

/**
 * A change to chains whose order does not matter, and whole chains that come or go. In `removed`,
 * `created` means that the whole chain goes.
 */
export interface Amendment {
  readonly added: readonly Addition[];
  readonly removed: readonly Addition[];
}

export function isEmpty({ added, removed }: Amendment): boolean {
  return added.length === 0 && removed.length === 0;
}

const text = (rule: Rule) => JSON.stringify(rule);

/** Returns the chains of a ruleset that the other lacks. */
function chainsWithout(ruleset: Ruleset, other: Ruleset): readonly Addition[] {
  const names = new Set(other.map(({ name }) => name));
  return ruleset
    .filter(({ name }) => !names.has(name))
    .map((chain) => ({ ...chain, created: true }));
}

/** Returns the rules that each chain has beyond its namesake. */
function rulesWithout(pairs: readonly (readonly [Chain, Chain])[]): readonly Addition[] {
  return pairs.flatMap(([{ name, rules }, other]) => {
    const fresh = multisetDifference(rules, other.rules, text);
    return fresh.length === 0 ? [] : [{ name, rules: fresh, created: false }];
  });
}

/**
 * Returns the amendment that turns `from` into `to`; undefined when a chain whose order matters
 * would change. Then the whole ruleset must be replaced.
 */
export function amendment(from: Ruleset, to: Ruleset): Amendment | undefined {
  const old = new Map(from.map((chain) => [chain.name, chain]));
  const pairs = to.flatMap((chain) => {
    const before = old.get(chain.name);
    return before === undefined || before === chain ? [] : [[before, chain] as const];
  });
  const added = rulesWithout(pairs.map(([before, after]) => [after, before]));
  const removed = rulesWithout(pairs);
  if ([...added, ...removed].some(({ name }) => isOrdered(name))) return undefined;
  return {
    added: [...chainsWithout(to, from), ...added],
    removed: [...removed, ...chainsWithout(from, to)],
  };
}
