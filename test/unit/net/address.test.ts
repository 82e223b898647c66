import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { familyOf, isUnicast, parseAddress } from '../../../src/net/address.ts';
import { addressNumber } from '../../support/address-number.ts';
import { anyAddress, ipv4Text, ipv6Text } from '../../support/arbitraries.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

describe('an address', () => {
  test.each([
    ['0.0.0.0', 'ipv4', '0.0.0.0'],
    ['255.255.255.255', 'ipv4', '255.255.255.255'],
    ['203.0.113.10', 'ipv4', '203.0.113.10'],
    ['::', 'ipv6', '::'],
    ['::1', 'ipv6', '::1'],
    ['2001:DB8:0::1', 'ipv6', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', 'ipv6', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', 'ipv6', '2001:db8:0:1:1:1:1:1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0000', 'ipv6', '2001:db8::'],
    ['64:ff9b::192.0.2.1', 'ipv6', '64:ff9b::c000:201'],
  ])('"%s" is %s, spelled %s', (text, family, canonical) => {
    expect(parseAddress(text)).toEqual({ family, text: canonical });
  });

  test.each(HOSTILE_TEXT.map((text) => [JSON.stringify(text).slice(0, 60), text]))(
    'is not %s',
    (_, text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );

  test('that is IPv4 has one spelling, so what was accepted is what was written', () => {
    fc.assert(
      fc.property(ipv4Text, (text) => {
        expect(parseAddress(text)?.text).toBe(text);
      }),
    );
  });

  test('that is IPv6 is spelled as the URL standard spells it, and is still the same number', () => {
    fc.assert(
      fc.property(ipv6Text, (text) => {
        const address = parseAddress(text);
        if (address === undefined) return;
        expect(`[${address.text}]`).toBe(new URL(`http://[${text}]/`).hostname);
        expect(addressNumber(address.text)).toBe(addressNumber(text.toLowerCase()));
      }),
      { numRuns: 1000 },
    );
  });

  test('that was accepted is accepted again from its own text', () => {
    fc.assert(
      fc.property(anyAddress, (address) => {
        expect(parseAddress(address.text)).toEqual(address);
      }),
    );
  });

  test('holding an IPv4 one is refused in every spelling', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), (high, low) => {
        expect(parseAddress(`::ffff:${high.toString(16)}:${low.toString(16)}`)).toBeUndefined();
        expect(
          parseAddress(`0:0:0:0:0:FFFF:${high.toString(16)}:${low.toString(16)}`),
        ).toBeUndefined();
        if (high > 0)
          expect(parseAddress(`::${high.toString(16)}:${low.toString(16)}`)).toBeUndefined();
      }),
    );
  });

  test('is never found in random text that Node does not call one', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('', '10.8.0.1', '2001:db8::1'), (noise, seed) => {
        const address = parseAddress(seed + noise);
        if (address !== undefined) expect(address.text).toMatch(/^[0-9a-f.:]+$/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the family of a text', () => {
  const pieces = fc.constantFrom(
    '0',
    '1',
    '9',
    'a',
    'F',
    ':',
    '::',
    '.',
    '25',
    '256',
    '192.0.2.1',
    '1:2:3',
    'g',
  );
  const nearly = fc
    .tuple(ipv6Text, fc.nat(40), pieces)
    .map(([text, at, piece]) => text.slice(0, at) + piece + text.slice(at));

  test('is what Node says, for addresses and for what is nearly one', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          ipv4Text,
          ipv6Text,
          nearly,
          fc.array(pieces, { maxLength: 9 }).map((each) => each.join('')),
        ),
        (text) => {
          expect({ text, family: familyOf(text) }).toEqual({
            text,
            family: { 4: 'ipv4', 6: 'ipv6' }[isIP(text)],
          });
        },
      ),
      { numRuns: 20_000 },
    );
  });
});

describe('a host’s address', () => {
  test.each([
    '203.0.113.10',
    '10.8.0.1',
    '169.254.1.1',
    '100.64.0.1',
    '2001:db8::1',
    'fe80::1',
    'fd00::1',
  ])('%s is one', (text) => {
    const address = parseAddress(text);
    expect(address !== undefined && isUnicast(address)).toBe(true);
  });

  test.each([
    '0.0.0.0',
    '127.0.0.1',
    '127.255.255.254',
    '224.0.0.1',
    '239.255.255.255',
    '255.255.255.255',
    '::',
    '::1',
    'ff02::1',
    'ff0e::1',
  ])('%s is not one', (text) => {
    const address = parseAddress(text);
    expect(address !== undefined && !isUnicast(address)).toBe(true);
  });
});
