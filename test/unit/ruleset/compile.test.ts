import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tunnelsOf } from '../../../src/policy/policy.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import {
  type ChainName,
  HOOKS,
  isHook,
  isOfFirstLook,
  isOrdered,
  RULE_IDS,
  type Rule,
  type Ruleset,
  SHARED_CHAINS,
} from '../../../src/ruleset/ruleset.ts';
import { anyPolicy } from '../../support/arbitraries.ts';
import { POLICIES } from '../../support/policies.ts';

const policies = fc.oneof(anyPolicy, fc.constantFrom(...Object.values(POLICIES)));
const every = (
  check: (ruleset: Ruleset, policy: (typeof POLICIES)[keyof typeof POLICIES]) => void,
) =>
  fc.assert(
    fc.property(policies, (policy) => {
      check(compile(policy), policy);
    }),
    { numRuns: 150 },
  );

const jumps = (rules: readonly Rule[]): readonly ChainName[] =>
  rules.flatMap(({ verdict }) =>
    typeof verdict !== 'string' && 'jump' in verdict ? [verdict.jump] : [],
  );
const isShared = (name: ChainName) => (SHARED_CHAINS as readonly string[]).includes(name);

describe('a compiled ruleset', () => {
  test('has a base chain for each hook, all shared chains, and for each tunnel its own, each once', () => {
    every((ruleset, policy) => {
      const own =
        policy.base.forward.length > 0 ? HOOKS : (['input', 'output', 'postrouting'] as const);
      const devices = tunnelsOf(policy).flatMap(({ device }) =>
        own.map((hook) => `${hook}-${device}`),
      );
      expect(ruleset.map(({ name }) => name).sort()).toEqual(
        [...HOOKS, ...SHARED_CHAINS, ...devices].sort(),
      );
    });
  });

  test('ends every base chain and every chain of a tunnel in a rule that decides about whatever comes to it', () => {
    every((ruleset) => {
      for (const { name, rules } of ruleset) {
        const last = rules.at(-1);
        if (isHook(name)) expect(last).toMatchObject({ id: 'rest', match: {} });
        if (isHook(name) || !isShared(name))
          expect([last?.match, typeof last?.verdict]).toEqual([{}, 'string']);
      }
    });
  });

  test('refuses what is left of each base chain, and answers on output alone', () => {
    every((ruleset, { base }) => {
      for (const hook of HOOKS)
        expect(ruleset.find(({ name }) => name === hook)?.rules.at(-1)?.verdict).toBe(
          hook === 'output' ? base.refuse : 'drop',
        );
      for (const { name, rules } of ruleset)
        if (!isOfFirstLook(name))
          expect(rules.map(({ verdict }) => verdict)).not.toContain('reject');
    });
  });

  test('has every chain before those that jump to it', () => {
    every((ruleset) => {
      const known = new Set<ChainName>();
      for (const { name, rules } of ruleset) {
        for (const jump of jumps(rules)) expect(known.has(jump)).toBe(true);
        known.add(name);
      }
    });
  });

  test('has no chain that nothing jumps to, but the endpoints’ when nobody may go there, and the answers’ without a tunnel', () => {
    every((ruleset, { base }) => {
      const reached = new Set(ruleset.flatMap(({ rules }) => jumps(rules)));
      for (const { name } of ruleset)
        expect(
          isHook(name) ||
            reached.has(name) ||
            name === 'answers' ||
            (name === 'endpoint' && base.owners?.length === 0),
        ).toBe(true);
    });
  });

  test('names the reasons of each base chain in the order of all reasons', () => {
    every((ruleset) => {
      for (const { name, rules } of ruleset) {
        if (!isHook(name)) continue;
        // Packets from or into a tunnel are asked first, and all in chains of its own.
        const places = rules
          .filter(({ verdict }) => typeof verdict === 'string')
          .map(({ id }) => RULE_IDS.indexOf(id));
        expect(places).toEqual([...places].sort((a, b) => a - b));
      }
    });
  });

  test('uses every reason in some named policy', () => {
    const used = new Set(
      Object.values(POLICIES).flatMap((policy) =>
        compile(policy).flatMap(({ rules }) => rules.map(({ id }) => id)),
      ),
    );
    expect([...used].sort()).toEqual([...RULE_IDS].sort());
  });

  test('asks in one match for one family: its own, where it names one', () => {
    every((ruleset) => {
      for (const { match } of ruleset.flatMap(({ rules }) => rules)) {
        const families = [
          ...(match.to ?? []),
          ...(match.from ?? []),
          ...(match.endpoints ?? []).map(({ address }) => address),
        ].map(({ family }) => family);
        for (const family of families) expect(family).toBe(match.family);
        if (match.icmp !== undefined) expect(match.family).toBeDefined();
        if (match.fromPorts !== undefined || match.toPorts !== undefined)
          expect(match.transports).toBeDefined();
      }
    });
  });

  test('has no empty list in any match: it would match nothing, or everything', () => {
    every((ruleset) => {
      for (const { match } of ruleset.flatMap(({ rules }) => rules))
        for (const value of Object.values(match))
          if (Array.isArray(value)) expect(value.length).toBeGreaterThan(0);
    });
  });

  test('has at the place of every logged drop the log just before it, with the same match', () => {
    every((ruleset, { base }) => {
      for (const { rules } of ruleset)
        for (const [index, { id, match, verdict }] of rules.entries()) {
          const before = rules[index - 1];
          if (verdict === 'drop' || verdict === 'reject') {
            if (
              base.logDrops !== undefined &&
              id !== 'forward' &&
              !('in' in match && 'out' in match)
            )
              expect(before).toEqual({ id, match, verdict: { log: base.logDrops } });
          } else if (typeof verdict !== 'string' && 'log' in verdict)
            expect(rules[index + 1]).toMatchObject({ id, match });
        }
    });
  });

  test('is the same for the same policy', () => {
    every((ruleset, policy) => {
      expect(JSON.stringify(compile(policy))).toBe(JSON.stringify(ruleset));
    });
  });

  test('adds for a tunnel only to chains whose order does not matter', () => {
    every((ruleset, policy) => {
      if (policy.state !== 'connected') return;
      const blocked = compile({ state: 'blocked', former: [], base: policy.base });
      for (const { name, rules } of blocked) {
        const now = ruleset.find((chain) => chain.name === name);
        if (isOrdered(name)) expect(now?.rules).toEqual(rules);
        else expect(now?.rules.length).toBeGreaterThanOrEqual(rules.length);
      }
    });
  });
});
