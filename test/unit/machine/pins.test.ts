import { describe, expect, test } from 'vitest';
import { type Pin, parsePins, pinsJson, renewPins } from '../../../src/machine/pins.ts';
import { parseAddress } from '../../../src/net/address.ts';
import { parseHostName } from '../../../src/net/host-name.ts';

const NOW = 1_800_000_000;
const DAY = 86_400;

function name(text: string) {
  const parsed = parseHostName(text);
  if (parsed === undefined) throw new TypeError(text);
  return parsed;
}

const addresses = (...texts: readonly string[]) => texts.flatMap((text) => parseAddress(text) ?? []);
const pin = (of: string, seen: Readonly<Record<string, number>>): Pin => ({
  name: name(of),
  addresses: Object.entries(seen).flatMap(([text, time]) => addresses(text).map((address) => ({ address, seen: time }))),
});
const texts = (pins: readonly Pin[]) =>
  Object.fromEntries(pins.map((each) => [each.name, each.addresses.map(({ address }) => address.text)]));

describe('pins after an answer', () => {
  test('hold its addresses first, and earlier ones as a fallback', () => {
    const pins = renewPins(
      [name('a.test')],
      [pin('a.test', { '192.0.2.1': NOW - DAY })],
      new Map([['a.test', addresses('192.0.2.9', '2001:db8::9')]]),
      NOW,
    );
    expect(texts(pins)).toEqual({ 'a.test': ['192.0.2.9', '2001:db8::9', '192.0.2.1'] });
  });

  test('keep the order of the answer although both are seen in one second', () => {
    const pins = renewPins([name('a.test')], [pin('a.test', { '192.0.2.1': NOW })], new Map([['a.test', addresses('192.0.2.2')]]), NOW);
    expect(texts(parsePins(pinsJson(pins)))).toEqual({ 'a.test': ['192.0.2.2', '192.0.2.1'] });
  });

  test('forget what no answer has named for a month', () => {
    const old = pin('a.test', { '192.0.2.1': NOW - 31 * DAY, '192.0.2.2': NOW - 29 * DAY });
    expect(texts(renewPins([name('a.test')], [old], new Map([['a.test', addresses('192.0.2.3')]]), NOW))).toEqual({
      'a.test': ['192.0.2.3', '192.0.2.2'],
    });
  });

  test('keep whatever there was, however old, for a name without an answer', () => {
    const old = pin('a.test', { '192.0.2.1': NOW - 400 * DAY });
    expect(renewPins([name('a.test')], [old], new Map(), NOW)).toEqual([old]);
  });

  test('are gone with the profile that named them', () => {
    expect(renewPins([], [pin('a.test', { '192.0.2.1': NOW })], new Map(), NOW)).toEqual([]);
  });

  test('leave out what is no address of another host', () => {
    const answer = addresses('127.0.0.1', '0.0.0.0', '224.0.0.1', '192.0.2.1');
    expect(texts(renewPins([name('a.test')], [], new Map([['a.test', answer]]), NOW))).toEqual({ 'a.test': ['192.0.2.1'] });
  });

  test('hold hundreds of addresses of one name, and no more than 512', () => {
    const many = Array.from({ length: 700 }, (_, n) => `198.51.${Math.floor(n / 250)}.${(n % 250) + 1}`);
    expect(renewPins([name('a.test')], [], new Map([['a.test', addresses(...many)]]), NOW)[0]?.addresses).toHaveLength(512);
  });
});

describe('pins in a file', () => {
  test('are read as they were written', () => {
    const pins = [pin('a.test', { '192.0.2.2': NOW, '2001:db8::1': NOW - 5 }), pin('b.test', { '192.0.2.3': NOW })];
    expect(parsePins(JSON.parse(JSON.stringify(pinsJson(pins))))).toEqual(pins);
  });

  test.each([
    undefined,
    null,
    7,
    'x',
    [],
    { 'a b': { '192.0.2.1': 1 } },
    { 'a.test': null },
    { 'a.test': { '192.0.2.1': 'now' } },
    { 'a.test': { 'x; accept': 1 } },
  ])('that are damaged open nothing: %j', (json) => {
    expect(parsePins(json)).toEqual([]);
  });
});
