import type { Chain, Rule, Ruleset } from './ruleset.ts';
import { isHook } from './ruleset.ts';

/** Rules to put at the end of a chain. `created`: the chain is new. */
export interface Addition extends Chain {
  readonly created: boolean;
}

const text = (rule: Rule) => JSON.stringify(rule);

/** `rules` less one occurrence of each of `taken`: two tunnels to one endpoint bring the same rule twice. */
function without(rules: readonly Rule[], taken: readonly Rule[]): readonly Rule[] {
  const counts = new Map<string, number>();
  for (const rule of taken) counts.set(text(rule), (counts.get(text(rule)) ?? 0) + 1);
  return rules.filter((rule) => {
    const left = counts.get(text(rule)) ?? 0;
    counts.set(text(rule), left - 1);
    return left <= 0;
  });
}

/** What turns `from` into `to` by adding alone; undefined when something would have to go, change or come between. */
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
    const fresh = without(chain.rules, before.rules);
    if (without(before.rules, chain.rules).length > 0) return undefined;
    if (fresh.length > 0 && (isHook(chain.name) || chain.name === 'endpoint')) return undefined;
    if (fresh.length > 0) added.push({ name: chain.name, rules: fresh, created: false });
  }
  return added;
}
