import { compile } from '../../src/ruleset/compile.ts';
import { backendOf, type Kind } from './kinds.ts';
import { POLICIES, POLICY_NAMES, type PolicyName } from './policies.ts';

/**
 * Few policies that have between them every rule, chain and text that all policies have with one
 * kind of packet filter: what a tool does with each of these is asked once at least.
 */
export function coveringPolicies(kind: Kind): readonly PolicyName[] {
  const backend = backendOf(kind);
  const texts = new Map(
    POLICY_NAMES.map((name) => [
      name,
      backend
        .image(compile(POLICIES[name]))
        .flatMap((chain) => [
          `${chain.family} ${chain.name}`,
          ...chain.rules.map(({ text }) => `${chain.family} ${chain.name} ${text}`),
        ]),
    ]),
  );
  const left = new Set([...texts.values()].flat());
  const gain = (name: PolicyName) =>
    new Set(texts.get(name)?.filter((text) => left.has(text))).size;
  const chosen: PolicyName[] = [];
  while (left.size > 0) {
    const [best] = POLICY_NAMES.toSorted((a, b) => gain(b) - gain(a));
    if (best === undefined || gain(best) === 0) throw new Error(`${[...left]} is in no policy`);
    chosen.push(best);
    for (const text of texts.get(best) ?? []) left.delete(text);
  }
  return chosen;
}
