import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseInterfaceName } from '../../../src/net/interface-name.ts';

describe('the name of an interface', () => {
  test.each([
    'tun0',
    'eth0',
    'enp0s31f6',
    'wlan0.100',
    'br-1a2b3c4d5e6f',
    'vpn_home',
    '0tun',
    'abcdefghijklmno',
    'T',
  ])('is %s', (text) => {
    expect(parseInterfaceName(text)).toBe(text);
  });

  test.each([
    '',
    'abcdefghijklmnop',
    'tun+',
    'tun*',
    '+',
    '*',
    '-tun0',
    '_tun0',
    '.tun0',
    '..',
    'tun 0',
    'tun0 ',
    ' tun0',
    'tun0\n',
    'tun\t0',
    'tun/0',
    'tun:0',
    'tun0;reboot',
    'tun"0',
    "tun'0",
    'tun{0}',
    'tun$0',
    'tun!0',
    'tun,0',
    'tunü',
    'tun\0',
    'ｔun0',
    'a'.repeat(300),
  ])('is not %j', (text) => {
    expect(parseInterfaceName(text)).toBeUndefined();
  });

  test('is taken as it is or not at all, and never holds what a packet filter reads as more than a name', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 20 })),
        (text) => {
          const name = parseInterfaceName(text);
          if (name === undefined) return;
          expect(name).toBe(text);
          expect(Buffer.byteLength(name)).toBeLessThanOrEqual(15);
          expect(name).not.toMatch(/[^A-Za-z0-9_.-]|^-/);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
