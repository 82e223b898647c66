import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { printable } from '../../../src/net/printable.ts';

describe('foreign text made printable', () => {
  test.each([
    ['tun0', 'tun0'],
    ['a\nb', 'a\\x0ab'],
    ['\u001b[31mred', '\\x1b[31mred'],
    ['ü', '\\xc3\\xbc'],
    ['a\\b', 'a\\x5cb'],
    ['', ''],
  ])('%j is %j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test('is one line of printable ASCII, at most 120 characters, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
        expect(printable(text)).toMatch(/^[\x20-\x7e]{0,120}$/);
      }),
    );
  });

  test('says that something was cut', () => {
    expect(printable('a'.repeat(121))).toBe(`${'a'.repeat(117)}...`);
  });
});
