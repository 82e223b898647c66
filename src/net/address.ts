import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Branded } from './brand.ts';

export type Family = 'ipv4' | 'ipv6';
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/** One IP address. `text` is canonical: dotted decimal, or RFC 5952 for IPv6. */
export type Address = Branded<{ readonly family: Family; readonly text: string }, 'Address'>;

/**
 * Accepts what inet_pton(3) accepts: no octal, no short forms. Zone identifiers (`fe80::1%eth0`) and IPv6 addresses that hold an IPv4
 * one (`::ffff:192.0.2.1`, `::192.0.2.1`) are refused: neither can stand in a rule for what it seems to name.
 */
export function parseAddress(text: string): Address | undefined {
  if (text.includes('%')) return undefined;
  switch (isIP(text)) {
    case 4:
      return { family: 'ipv4', text } as Address;
    case 6: {
      const parsed = ipaddr.IPv6.parse(text);
      const holdsIpv4 = parsed.parts.slice(0, 5).every((part) => part === 0) && (parsed.parts[5] === 0xffff || parsed.parts[6] !== 0);
      return holdsIpv4 ? undefined : ({ family: 'ipv6', text: parsed.toRFC5952String() } as Address);
    }
    default:
      return undefined;
  }
}

/**
 * Whether packets to this address can go to one host on a network: not unspecified, loopback, multicast or broadcast
 * (RFC 6890, RFC 4291).
 */
export function isUnicast(address: Address): boolean {
  const range = ipaddr.parse(address.text).range();
  return !['unspecified', 'loopback', 'multicast', 'broadcast'].includes(range);
}
