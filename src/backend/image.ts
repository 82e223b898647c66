import { multisetDifference } from '../ruleset/multiset-difference.ts';
import { RULE_IDS, type RuleId } from '../ruleset/ruleset.ts';

/**
 * One rule as the kernel lists it, in one spelling. `id` is undefined for other programs' rules.
 */
export interface ImageRule {
  readonly id: RuleId | undefined;
  readonly text: string;
  /** Packets and bytes that matched since the load; undefined in an expected image. */
  readonly packets?: number;
  readonly bytes?: number;
}

/** One chain as the kernel lists it. `family` is undefined where one chain serves both. */
export interface ImageChain {
  readonly family: 'ipv4' | 'ipv6' | undefined;
  readonly name: string;
  /** The chain policy of a base chain. */
  readonly policy: string | undefined;
  /**
   * Whether the order of the rules matters. Rules in the chains that tunnels add to exclude each
   * other.
   */
  readonly ordered: boolean;
  readonly rules: readonly ImageRule[];
}

/** Our part of the kernel's rules, expected or found. */
export type Image = readonly ImageChain[];

/** One difference from the expected rules. `id` names the rule's reason where there is one. */
export interface Difference {
  readonly family: 'ipv4' | 'ipv6' | undefined;
  readonly chain: string;
  readonly id: RuleId | undefined;
  readonly what: string;
}

export function ruleId(text: string | undefined): RuleId | undefined {
  return RULE_IDS.find((id) => id === text);
}

function key(chain: ImageChain): string {
  return `${chain.family ?? ''} ${chain.name}`;
}

const textOf = ({ text }: ImageRule) => text;

function chainDifferences(expected: ImageChain, found: ImageChain): readonly Difference[] {
  const { family, name: chain } = expected;
  const differences: Difference[] = [];
  if (expected.policy !== found.policy)
    differences.push({
      family,
      chain,
      id: undefined,
      what: `its policy is ${found.policy ?? 'missing'} and should be ${expected.policy ?? 'none'}`,
    });
  for (const rule of multisetDifference(expected.rules, found.rules, textOf))
    differences.push({ family, chain, id: rule.id, what: `missing: ${rule.text}` });
  for (const rule of multisetDifference(found.rules, expected.rules, textOf))
    differences.push({ family, chain, id: rule.id, what: `not ours: ${rule.text}` });
  const moved = expected.rules.findIndex((rule, index) => rule.text !== found.rules[index]?.text);
  if (differences.length === 0 && expected.ordered && moved >= 0)
    differences.push({
      family,
      chain,
      id: expected.rules[moved]?.id,
      what: `out of order from rule ${moved + 1} on`,
    });
  return differences;
}

/**
 * Whether two images have the same chains with the same policies, and in each the same reasons in
 * the same order. A listing that a newer tool spells differently can be compared no further.
 */
export function sameReasons(expected: Image, found: Image): boolean {
  const shape = (image: Image) =>
    image
      .map((chain) => {
        const ids = chain.rules.map(({ id }) => id ?? 'none');
        return `${key(chain)} ${chain.policy ?? ''}: ${(chain.ordered ? ids : ids.sort()).join(' ')}`;
      })
      .sort()
      .join('\n');
  return shape(expected) === shape(found);
}

/**
 * Returns the differences between `found` and `expected`; empty when they have the same rules in
 * the same order.
 */
export function differencesOf(expected: Image, found: Image): readonly Difference[] {
  const present = new Map(found.map((chain) => [key(chain), chain]));
  const wanted = new Set(expected.map(key));
  return [
    ...expected.flatMap((chain) => {
      const other = present.get(key(chain));
      return other === undefined
        ? [{ family: chain.family, chain: chain.name, id: undefined, what: 'the chain is missing' }]
        : chainDifferences(chain, other);
    }),
    ...found
      .filter((chain) => !wanted.has(key(chain)))
      .map(({ family, name }) => ({
        family,
        chain: name,
        id: undefined,
        what: 'the chain should not be there',
      })),
  ];
}
