import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/ruleset/compile.ts';
import { matches } from '../../../src/ruleset/evaluate.ts';
import { splitReject } from '../../../src/ruleset/split-reject.ts';
import { anyPolicy } from '../../support/arbitraries.ts';
import { describePacket } from '../../support/packets.ts';
import { POLICIES } from '../../support/policies.ts';
import { witnesses } from '../../support/witnesses.ts';

describe('a refusal', () => {
  test.each([
    ['of everything', {}, { tcp: [{ transports: ['tcp'] }], others: [{}] }],
    [
      'of both transports',
      { transports: ['tcp', 'udp'] as const },
      { tcp: [{ transports: ['tcp'] }], others: [{ transports: ['udp'] }] },
    ],
    ['of TCP', { transports: ['tcp'] as const }, { tcp: [{ transports: ['tcp'] }], others: [] }],
    ['of UDP', { transports: ['udp'] as const }, { tcp: [], others: [{ transports: ['udp'] }] }],
    [
      'of a ping',
      { family: 'ipv4' as const, icmp: [8] },
      { tcp: [], others: [{ family: 'ipv4', icmp: [8] }] },
    ],
  ])('%s is told TCP by a reset and the rest by ICMP', (_, match, parts) => {
    expect(splitReject(match)).toEqual(parts);
  });

  test('of any rule tells every packet once, and a reset to TCP alone', () => {
    fc.assert(
      fc.property(fc.oneof(anyPolicy, fc.constantFrom(...Object.values(POLICIES))), (policy) => {
        const ruleset = compile({ ...policy, base: { ...policy.base, refuse: 'reject' } });
        const packets = witnesses(ruleset).filter((_, index) => index % 7 === 0);
        for (const { match } of ruleset
          .flatMap(({ rules }) => rules)
          .filter(({ verdict }) => verdict === 'reject')) {
          const { tcp, others } = splitReject(match);
          for (const packet of packets) {
            const isTcp = 'transport' in packet.payload && packet.payload.transport === 'tcp';
            const [byReset, byIcmp] = [tcp, others].map((parts) =>
              parts.some((part) => matches(part, packet)),
            );
            // The reset stands first, so an ICMP part that also fits TCP does no harm.
            const told = byReset ? 'reset' : byIcmp ? 'icmp' : 'nothing';
            expect([told, describePacket(packet)]).toEqual([
              matches(match, packet) ? (isTcp ? 'reset' : 'icmp') : 'nothing',
              describePacket(packet),
            ]);
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});
