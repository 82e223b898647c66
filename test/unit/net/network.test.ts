import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  contains,
  disjoint,
  networkOf,
  parseNetmask,
  parseNetwork,
  width,
} from '../../../src/net/network.ts';
import { addressNumber, prefixBounds } from '../../support/address-number.ts';
import { anyAddress, anyNetwork } from '../../support/arbitraries.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';
import { address } from '../../support/places.ts';

/** Networks that often lie in one another. */
const crowded = fc
  .tuple(fc.nat(7), fc.nat(255), fc.integer({ min: 20, max: 32 }), fc.boolean())
  .map(([third, fourth, prefix, six]) =>
    six
      ? networkOf(address(`fd00::${third.toString(16)}:${fourth.toString(16)}`), 96 + prefix)
      : networkOf(address(`10.8.${third}.${fourth}`), prefix),
  );

const inside = (outer: readonly [bigint, bigint], inner: readonly [bigint, bigint]) =>
  outer[0] <= inner[0] && inner[1] <= outer[1];

describe('a network', () => {
  test.each([
    ['10.8.0.0/24', '10.8.0.0/24'],
    ['10.8.0.77/24', '10.8.0.0/24'],
    ['10.8.0.1', '10.8.0.1/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['FD00::1/64', 'fd00::/64'],
    ['fd00::1', 'fd00::1/128'],
    ['fc00::/7', 'fc00::/7'],
    ['::/0', '::/0'],
  ])('"%s" is %s', (text, canonical) => {
    expect(parseNetwork(text)?.text).toBe(canonical);
  });

  test.each([
    '10.8.0.0/33',
    '10.8.0.0/-1',
    '10.8.0.0/',
    '10.8.0.0/24/24',
    '10.8.0.0/024',
    '10.8.0.0/24 ',
    '10.8.0.0/ 24',
    '10.8.0.0/2٤',
    '10.8.0.0/255.255.255.0',
    '10.8.0.0/24\n',
    'fd00::/129',
    'fd00::/1e1',
    'fe80::%eth0/64',
    '::ffff:10.0.0.0/104',
    '/24',
  ])('is not %j', (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });

  test.each(HOSTILE_TEXT.map((text) => [JSON.stringify(text).slice(0, 60), text]))(
    'is not %s',
    (_, text) => {
      expect(parseNetwork(text)).toBeUndefined();
      expect(parseNetwork(`${text}/24`)).toBeUndefined();
    },
  );

  test('that was accepted is accepted again from its own text', () => {
    fc.assert(
      fc.property(anyNetwork, (network) => {
        expect(parseNetwork(network.text)).toEqual(network);
      }),
    );
  });

  test('starts at the address with its host bits cleared and ends where the length says', () => {
    fc.assert(
      fc.property(anyAddress, fc.nat(128), (own, length) => {
        const prefix = Math.min(length, width(own.family));
        const network = networkOf(own, prefix);
        const [first, last] = prefixBounds(network.text);
        const number = addressNumber(own.text);
        expect(number >= first && number <= last).toBe(true);
        expect(first % (last - first + 1n)).toBe(0n);
        expect(network.prefix).toBe(prefix);
      }),
    );
  });

  test.each([-1, 33, 1.5, Number.NaN])('of length %s is a bug of ours', (prefix) => {
    expect(() => networkOf(address('10.8.0.1'), prefix)).toThrow(RangeError);
  });
});

describe('a mask', () => {
  test('of every length is that length', () => {
    for (let length = 0; length <= 32; length++) {
      const bits = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
      const text = [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
      expect(parseNetmask(text)).toBe(length);
    }
  });

  test.each([
    '255.0.255.0',
    '0.255.255.255',
    '255.255.255.1',
    '24',
    '/24',
    'ffff::',
    '255.255.255',
    '',
    '255.255.255.0 ',
  ])('is not %j', (text) => {
    expect(parseNetmask(text)).toBeUndefined();
  });
});

describe('networks in networks', () => {
  test('one contains another exactly when all its addresses lie in it', () => {
    fc.assert(
      fc.property(fc.oneof(crowded, anyNetwork), fc.oneof(crowded, anyNetwork), (outer, inner) => {
        const expected =
          outer.family === inner.family &&
          inside(prefixBounds(outer.text), prefixBounds(inner.text));
        expect(contains(outer, inner)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('made disjoint cover the same addresses, none twice, in an order that does not depend on theirs', () => {
    fc.assert(
      fc.property(fc.array(crowded, { maxLength: 12 }), (networks) => {
        const result = disjoint(networks);
        for (const network of networks)
          expect(result.some((outer) => contains(outer, network))).toBe(true);
        for (const one of result) {
          expect(networks).toContainEqual(one);
          for (const other of result) if (one !== other) expect(contains(one, other)).toBe(false);
        }
        expect(disjoint([...networks].reverse()).map(({ text }) => text)).toEqual(
          result.map(({ text }) => text),
        );
      }),
      { numRuns: 500 },
    );
  });
});
