import { describe, expect, test } from 'vitest';
import { parseHostName } from '../../../src/net/host-name.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

describe('a host name', () => {
  test.each([
    ['vpn.example.test', 'vpn.example.test'],
    ['VPN.Example.TEST.', 'vpn.example.test'],
    ['1.nl.example', '1.nl.example'],
    ['localhost', 'localhost'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ])('%s is read as %s', (text, name) => {
    expect(parseHostName(text)).toBe(name);
  });

  test.each([
    '',
    '.',
    'a..b',
    '-a.example',
    'a-.example',
    'a_b.example',
    '203.0.113.10',
    'a.1',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}example`,
    'a example',
    'a\nexample',
  ])('%j is refused', (text) => {
    expect(parseHostName(text)).toBeUndefined();
  });

  // A label may look like a number with an exponent.
  test.each(HOSTILE_TEXT.filter((text) => text !== '4e2'))('%j is refused, as all hostile text', (text) => {
    expect(parseHostName(text)).toBeUndefined();
  });
});
