import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/ruleset/compile.ts';
import { evaluate } from '../../../src/ruleset/evaluate.ts';
import type { Packet } from '../../../src/ruleset/packet.ts';
import { anyPolicy } from '../../support/arbitraries.ts';
import { describePacket, packetClasses } from '../../support/packets.ts';
import { POLICIES, POLICY_NAMES } from '../../support/policies.ts';
import { promised } from '../../support/specification.ts';
import { VERDICT_NUMBERS, verdictTable } from '../../support/verdicts.ts';
import { witnesses } from '../../support/witnesses.ts';

const PACKETS: readonly Packet[] = [...packetClasses()].map(({ packet }) => packet);
const TABLE = verdictTable(PACKETS);

/** Every so-manieth packet, so that a run over many policies meets all classes. */
const sample = (step: number, offset: number): readonly Packet[] =>
  PACKETS.filter((_, index) => index % step === offset);

describe('the full product of packet classes', () => {
  test('is judged by the table of verdicts as evaluate judges it', () => {
    for (const name of [
      'blocked, an endpoint inside the LAN',
      'connected, everything at once',
    ] as const) {
      const ruleset = compile(POLICIES[name]);
      const verdicts = TABLE.verdicts(ruleset);
      for (const [index, packet] of PACKETS.entries())
        if (
          index % 5 === 0 &&
          VERDICT_NUMBERS[evaluate(ruleset, packet).verdict] !== verdicts[index]
        )
          expect.fail(`${name}: ${describePacket(packet)}`);
    }
  });

  test.each(POLICY_NAMES)('gets what is promised: %s', (name) => {
    const policy = POLICIES[name];
    const verdicts = TABLE.verdicts(compile(policy));
    const wrong: string[] = [];
    for (const [index, packet] of PACKETS.entries()) {
      const verdict = promised(policy, packet);
      if (VERDICT_NUMBERS[verdict] !== verdicts[index] && wrong.length < 10)
        wrong.push(`${describePacket(packet)} should be ${verdict}`);
    }
    expect(wrong).toEqual([]);
  });

  test.each(POLICY_NAMES)('and what fits or just misses each rule gets it too: %s', (name) => {
    const policy = POLICIES[name];
    const ruleset = compile(policy);
    const wrong = witnesses(ruleset).filter(
      (packet) => evaluate(ruleset, packet).verdict !== promised(policy, packet),
    );
    expect(wrong.slice(0, 10).map(describePacket)).toEqual([]);
  });

  test('gets what is promised, part by part, under hundreds of random policies', () => {
    fc.assert(
      fc.property(anyPolicy, fc.nat(96), (policy, offset) => {
        const ruleset = compile(policy);
        for (const packet of [
          ...sample(197, offset),
          ...witnesses(ruleset).filter((_, index) => index % 5 === offset % 5),
        ]) {
          const { verdict, rule } = evaluate(ruleset, packet);
          const expected = promised(policy, packet);
          if (verdict !== expected)
            expect.fail(
              `${describePacket(packet)} should be ${expected}, ${rule?.id} says ${verdict}`,
            );
        }
      }),
      { numRuns: 150 },
    );
  });
});
