import { describe, expect, test } from 'vitest';
import { parseHostName } from '../../../src/net/host-name.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

describe('a host name', () => {
  test.each([
    ['vpn.example.test', 'vpn.example.test'],
    ['VPN.Example.TEST.', 'vpn.example.test'],
    ['1.nl.example', '1.nl.example'],
    ['localhost', 'localhost'],
    ['One_vpn.example', 'one_vpn.example'],
    ['one-.example', 'one-.example'],
    ['one.123', 'one.123'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ])('%s is read as %s', (text, name) => {
    expect(parseHostName(text)).toBe(name);
  });

  test.each([
    '',
    '.',
    'a..b',
    '-a.example',
    '0xcb007105',
    '203.0.113.10',
    '203.113',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}example`,
    'a example',
    'a\nexample',
  ])('%j is refused', (text) => {
    expect(parseHostName(text)).toBeUndefined();
  });

  // A label may look like a number with an exponent, or with a separator.
  test.each(HOSTILE_TEXT.filter((text) => !['4e2', '1_194'].includes(text)))(
    '%j is refused, as all hostile text',
    (text) => {
      expect(parseHostName(text)).toBeUndefined();
    },
  );
});
