import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergedIntervals } from '../../../src/net/interval.ts';
import { addressNumber } from '../../support/address-number.ts';

const text = (last: number) => `10.0.0.${last}`;
const piece = fc.oneof(
  fc.nat(63).map((last) => ({ text: text(last), first: last, last })),
  fc.tuple(fc.nat(63), fc.nat(63)).map(([a, b]) => ({
    text: `${text(Math.min(a, b))}-${text(Math.max(a, b))}`,
    first: Math.min(a, b),
    last: Math.max(a, b),
  })),
  fc.tuple(fc.nat(63), fc.integer({ min: 26, max: 32 })).map(([at, prefix]) => {
    const size = 2 ** (32 - prefix);
    const first = at - (at % size);
    return { text: `${text(first)}/${prefix}`, first, last: first + size - 1 };
  }),
);

describe('merged intervals', () => {
  test.each([
    [['10.0.0.0/25', '10.0.0.128/25'], ['10.0.0.0-10.0.0.255']],
    [['10.0.0.0-10.0.0.255'], ['10.0.0.0-10.0.0.255']],
    [['10.0.0.2', '10.0.0.1'], ['10.0.0.1-10.0.0.2']],
    [
      ['10.0.0.1', '10.0.0.3'],
      ['10.0.0.1', '10.0.0.3'],
    ],
    [['fe80::/10', 'fec0::/10'], ['fe80::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']],
    [[], []],
  ])('of %j are %j', (texts, merged) => {
    expect(mergedIntervals(texts)).toEqual(merged);
  });

  test.each([
    '',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/24x',
    '10.0.0.1-',
    '-10.0.0.1',
    '@set',
    'fd00::/129',
    '10.0.0.1-x',
  ])('are unknown when one of them is %j', (other) => {
    expect(mergedIntervals(['10.0.0.0/8', other])).toBeUndefined();
  });

  test('hold exactly the addresses of their parts, in the fewest ranges', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const merged = mergedIntervals(pieces.map((each) => each.text)) ?? [];
        const ranges = merged.map((range) =>
          range.split('-').map((end) => Number(addressNumber(end) - addressNumber('10.0.0.0'))),
        );
        for (let last = 0; last < 64; last++) {
          const expected = pieces.some((each) => each.first <= last && last <= each.last);
          expect(ranges.some(([from = 0, to = from]) => from <= last && last <= to)).toBe(expected);
        }
        for (const [index, [from = 0]] of ranges.entries())
          if (index > 0) expect(from).toBeGreaterThan((ranges[index - 1]?.at(-1) ?? 0) + 1);
      }),
      { numRuns: 500 },
    );
  });
});
