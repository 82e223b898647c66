import { describe, expect, test } from 'vitest';
import { isPattern, means, parseInterfaces } from '../../../src/net/interface-pattern.ts';

describe('the interfaces that a setting means', () => {
  test.each(['docker0', 'br-*', 'br*', 'abcdefghijklmn*', 'lxcbr*'])('are %s', (text) => {
    expect(parseInterfaces(text)).toBe(text);
  });

  test.each([
    '',
    '*',
    'b*',
    'b*r',
    '*br',
    'br-**',
    'br-?',
    'br-+',
    '-br*',
    'abcdefghijklmno*',
    'abcdefghijklmnop',
  ])('are not %j', (text) => expect(parseInterfaces(text)).toBeUndefined());

  test.each(['lo*', 'tu*', 'tun*', 'tun1*', 'tap*', 'ta*'])(
    'are never loopback or OpenVPN’s devices: %s',
    (text) => {
      expect(parseInterfaces(text)).toBeUndefined();
    },
  );

  test('are one by its name, or all that begin alike', () => {
    const [one, all] = ['br-0', 'br-*'].map((text) => parseInterfaces(text));
    if (one === undefined || all === undefined) throw new Error('they do not parse');
    expect([isPattern(one), isPattern(all)]).toEqual([false, true]);
    expect(['br-0', 'br-01', 'br', 'xbr-0'].map((name) => means(one, name))).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(['br-0', 'br-', 'br', 'xbr-0'].map((name) => means(all, name))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
