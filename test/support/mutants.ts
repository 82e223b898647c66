import type { Chain, Match, Rule, Ruleset, Verdict } from '../../src/ruleset/ruleset.ts';

/** A ruleset with one mistake in it. */
export interface Mutant {
  readonly name: string;
  readonly ruleset: Ruleset;
}

const VERDICTS: readonly Verdict[] = ['accept', 'drop', 'reject'];

function verdictText(verdict: Verdict): string {
  if (typeof verdict === 'string') return verdict;
  return 'jump' in verdict ? `jump ${verdict.jump}` : Object.keys(verdict).join();
}

function withChain(ruleset: Ruleset, chain: Chain, rules: readonly Rule[]): Ruleset {
  return ruleset.map((each) => (each === chain ? { ...chain, rules } : each));
}

function withRule(ruleset: Ruleset, chain: Chain, index: number, rule: Rule): Ruleset {
  return withChain(
    ruleset,
    chain,
    chain.rules.map((each, at) => (at === index ? rule : each)),
  );
}

/** The match with one field less, and with one item less in each list of more than one. */
function* lesserMatches(match: Match): Generator<readonly [name: string, match: Match]> {
  for (const field of Object.keys(match) as (keyof Match)[]) {
    const { [field]: value, ...others } = match;
    yield [`without ${field}`, others];
    if (Array.isArray(value) && value.length > 1)
      for (const [index, item] of value.entries())
        yield [
          `without ${field} ${JSON.stringify(item)}`,
          { ...match, [field]: value.filter((_, at) => at !== index) },
        ];
  }
}

/**
 * Every ruleset that is one mistake away: a rule or a section missing, two rules swapped, another
 * verdict, a field of a match missing.
 */
export function* mutants(ruleset: Ruleset): Generator<Mutant> {
  for (const chain of ruleset) {
    const { name, rules } = chain;
    for (const [index, rule] of rules.entries()) {
      const where = `${name} ${index} ${rule.id}`;
      yield {
        name: `${where}: missing`,
        ruleset: withChain(ruleset, chain, [...rules.slice(0, index), ...rules.slice(index + 1)]),
      };
      const next = rules[index + 1];
      if (next !== undefined)
        yield {
          name: `${where}: after ${next.id}`,
          ruleset: withChain(ruleset, chain, [
            ...rules.slice(0, index),
            next,
            rule,
            ...rules.slice(index + 2),
          ]),
        };
      for (const verdict of VERDICTS)
        if (verdict !== rule.verdict)
          yield {
            name: `${where}: ${verdict} for ${verdictText(rule.verdict)}`,
            ruleset: withRule(ruleset, chain, index, { ...rule, verdict }),
          };
      for (const [what, match] of lesserMatches(rule.match))
        yield {
          name: `${where}: ${what}`,
          ruleset: withRule(ruleset, chain, index, { ...rule, match }),
        };
    }
    for (const id of new Set(rules.map((rule) => rule.id)))
      if (rules.filter((rule) => rule.id === id).length > 1)
        yield {
          name: `${name} ${id}: section missing`,
          ruleset: withChain(
            ruleset,
            chain,
            rules.filter((rule) => rule.id !== id),
          ),
        };
  }
}
