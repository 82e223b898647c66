import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/policy/policy.ts';
import { type Addition, additions } from '../../../src/ruleset/additions.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import { isOrdered, type Rule, type Ruleset } from '../../../src/ruleset/ruleset.ts';
import { anyBase, anyTunnels } from '../../support/arbitraries.ts';
import { POLICIES, TUN0, TUN1 } from '../../support/policies.ts';

const { base } = POLICIES['connected, forwarding'];
const blocked = compile(decide(base, []));
const one = compile(decide(base, [TUN0]));
const two = compile(decide(base, [TUN0, TUN1]));

/** A ruleset after rules were put at the ends of its chains. */
function grown(from: Ruleset, added: readonly Addition[]): Ruleset {
  const kept = from.map(({ name, rules }) => ({
    name,
    rules: [...rules, ...added.filter((each) => each.name === name).flatMap((each) => each.rules)],
  }));
  return [
    ...added.filter(({ created }) => created).map(({ name, rules }) => ({ name, rules })),
    ...kept,
  ];
}

/** Chains by name; the rules of those whose order does not matter in one order. */
function comparable(ruleset: Ruleset): Readonly<Record<string, readonly string[]>> {
  const texts = (rules: readonly Rule[]) => rules.map((rule) => JSON.stringify(rule));
  return Object.fromEntries(
    ruleset.map(({ name, rules }) => [name, isOrdered(name) ? texts(rules) : texts(rules).sort()]),
  );
}

describe('what a tunnel adds', () => {
  test('is nothing when nothing is new', () => {
    expect(additions(one, one)).toEqual([]);
  });

  test.each([
    ['the first tunnel', blocked, one],
    ['the second tunnel', one, two],
    ['two tunnels at once', blocked, two],
  ])('gives the whole ruleset: %s', (_, from, to) => {
    const added = additions(from, to);
    expect(added?.length).toBeGreaterThan(0);
    expect(comparable(grown(from, added ?? []))).toEqual(comparable(to));
  });

  test('touches no base chain', () => {
    expect(additions(one, two)?.map(({ name }) => name)).not.toEqual(
      expect.arrayContaining(['input']),
    );
    for (const { name, created } of additions(one, two) ?? [])
      expect(created || !isOrdered(name)).toBe(true);
  });

  test('creates a chain before the rules that jump to it', () => {
    const names = (additions(blocked, one) ?? []).map(({ name }): string => name);
    expect(names.indexOf('output-tun0')).toBeLessThan(names.indexOf('tunnel-output'));
  });

  test.each([
    ['a tunnel went', two, one],
    ['the base changed', one, compile(decide({ ...base, lan: [] }, [TUN0]))],
    ['the tunnel’s facts changed', one, compile(decide(base, [{ ...TUN0, networks: [] }]))],
    [
      'an endpoint came to the base',
      blocked,
      compile(decide({ ...base, endpoints: base.endpoints.slice(1) }, [])),
    ],
    ['the endpoints changed', compile(decide({ ...base, endpoints: [] }, [])), blocked],
  ])('is not enough when %s', (_, from, to) => {
    expect(additions(from, to)).toBeUndefined();
  });

  test('gives the whole ruleset for any base and tunnels, or is not enough', () => {
    fc.assert(
      fc.property(anyBase, anyTunnels, (some, tunnels) => {
        const [from, to] = [
          compile(decide(some, tunnels.slice(0, -1))),
          compile(decide(some, tunnels)),
        ];
        const added = additions(from, to);
        expect(added).toBeDefined();
        expect(comparable(grown(from, added ?? []))).toEqual(comparable(to));
      }),
      { numRuns: 150 },
    );
  });
});
