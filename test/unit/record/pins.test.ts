import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/net/address.ts';
import { parseHostName } from '../../../src/net/host-name.ts';
import {
  type Answer,
  markUsed,
  type Origin,
  type Pin,
  parsePins,
  pinsJson,
  renewPins,
} from '../../../src/record/pins.ts';

const NOW = 1_800_000_000;
const DAY = 86_400;

function name(text: string) {
  const parsed = parseHostName(text);
  if (parsed === undefined) throw new TypeError(text);
  return parsed;
}

const addresses = (...texts: readonly string[]) =>
  texts.flatMap((text) => parseAddress(text) ?? []);
const LOCK: Origin = { kind: 'lock', resolvers: ['203.0.113.53'] };
const TUNNEL: Origin = { kind: 'tunnel', device: 'tun0', resolvers: ['10.8.0.1'] };
const answered = (
  of: string,
  from: Origin,
  ...given: readonly string[]
): ReadonlyMap<string, Answer> => new Map([[of, { addresses: addresses(...given), from }]]);
const pin = (of: string, seen: Readonly<Record<string, number>>, from: Origin = LOCK): Pin => ({
  name: name(of),
  addresses: Object.entries(seen).flatMap(([text, time]) =>
    addresses(text).map((address) => ({ address, seen: time, from })),
  ),
});
const texts = (pins: readonly Pin[]) =>
  Object.fromEntries(
    pins.map((each) => [each.name, each.addresses.map(({ address }) => address.text)]),
  );

describe('pins after an answer', () => {
  test('hold its addresses first, and earlier ones as a fallback', () => {
    const pins = renewPins(
      [name('a.test')],
      [pin('a.test', { '192.0.2.1': NOW - DAY })],
      answered('a.test', LOCK, '192.0.2.9', '2001:db8::9'),
      NOW,
    );
    expect(texts(pins)).toEqual({ 'a.test': ['192.0.2.9', '2001:db8::9', '192.0.2.1'] });
  });

  test('keep the order of the answer although both are seen in one second', () => {
    const pins = renewPins(
      [name('a.test')],
      [pin('a.test', { '192.0.2.1': NOW })],
      answered('a.test', LOCK, '192.0.2.2'),
      NOW,
    );
    expect(texts(parsePins(pinsJson(pins)))).toEqual({ 'a.test': ['192.0.2.2', '192.0.2.1'] });
  });

  test('forget what no answer has named for a month', () => {
    const old = pin('a.test', { '192.0.2.1': NOW - 31 * DAY, '192.0.2.2': NOW - 29 * DAY });
    expect(
      texts(renewPins([name('a.test')], [old], answered('a.test', LOCK, '192.0.2.3'), NOW)),
    ).toEqual({
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
    const answer = ['127.0.0.1', '0.0.0.0', '224.0.0.1', '192.0.2.1'];
    expect(
      texts(renewPins([name('a.test')], [], answered('a.test', LOCK, ...answer), NOW)),
    ).toEqual({ 'a.test': ['192.0.2.1'] });
  });

  test('hold hundreds of addresses of one name, and no more than 512', () => {
    const many = Array.from(
      { length: 700 },
      (_, n) => `198.51.${Math.floor(n / 250)}.${(n % 250) + 1}`,
    );
    expect(
      renewPins([name('a.test')], [], answered('a.test', LOCK, ...many), NOW)[0]?.addresses,
    ).toHaveLength(512);
  });
});

describe('what a tunnel answers', () => {
  const many = (third: number) => Array.from({ length: 200 }, (_, n) => `198.18.${third}.${n + 1}`);
  const NAMES = [name('a.test')];

  test('adds a dozen addresses to a name, however often it changes its mind', () => {
    const lock = renewPins(NAMES, [], answered('a.test', LOCK, '192.0.2.1'), NOW);
    const once = renewPins(NAMES, lock, answered('a.test', TUNNEL, ...many(1)), NOW + 1);
    const twice = renewPins(NAMES, once, answered('a.test', TUNNEL, ...many(2)), NOW + 2);
    expect(texts(twice)).toEqual({ 'a.test': [...many(2).slice(0, 12), '192.0.2.1'] });
  });

  test('evicts no address that a handshake has used', () => {
    const once = renewPins(NAMES, [], answered('a.test', TUNNEL, '192.0.2.7'), NOW);
    const used = markUsed(once, new Map([['a.test', new Set(['192.0.2.7'])]]), NOW);
    const later = renewPins(NAMES, used, answered('a.test', TUNNEL, ...many(1)), NOW + 400 * DAY);
    expect(texts(later)['a.test']).toContain('192.0.2.7');
    expect(texts(later)['a.test']).toHaveLength(13);
  });

  test('does not become root’s own word, and root’s own word stays root’s', () => {
    const lock = renewPins(NAMES, [], answered('a.test', LOCK, '192.0.2.1'), NOW);
    const [again] = renewPins(
      NAMES,
      lock,
      answered('a.test', TUNNEL, '192.0.2.1', '192.0.2.2'),
      NOW + 1,
    );
    expect(again?.addresses.map(({ from }) => from)).toEqual([LOCK, TUNNEL]);
  });

  test('expires after a month in which no handshake has used it, also when nothing else is known', () => {
    const once = renewPins(NAMES, [], answered('a.test', TUNNEL, '192.0.2.7'), NOW);
    expect(renewPins(NAMES, once, new Map(), NOW + 29 * DAY)).toEqual(once);
    expect(renewPins(NAMES, once, new Map(), NOW + 31 * DAY)).toEqual([]);
  });

  test('is what an address of an earlier version counts as', () => {
    const [old] = parsePins({ 'a.test': { '192.0.2.7': NOW } });
    expect(old?.addresses).toEqual([
      { address: addresses('192.0.2.7')[0], seen: NOW, from: { kind: 'unknown' } },
    ]);
    expect(renewPins(NAMES, old === undefined ? [] : [old], new Map(), NOW + 31 * DAY)).toEqual([]);
  });
});

describe('pins in a file', () => {
  test('are read as they were written', () => {
    const pins = [
      pin('a.test', { '192.0.2.2': NOW, '2001:db8::1': NOW - 5 }),
      pin('b.test', { '192.0.2.3': NOW }),
    ];
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
