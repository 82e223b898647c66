import { expect, test } from 'vitest';
import { parseAddress } from '../../src/net/address.ts';

test('an IPv6 address has one spelling', () => {
  expect(parseAddress('2001:DB8:0::1')?.text).toBe('2001:db8::1');
});
