import ipaddr from 'ipaddr.js';
import type { Branded } from './brand.ts';

export type Family = 'ipv4' | 'ipv6';
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/** One IP address. `text` is canonical: dotted decimal, or RFC 5952 for IPv6. */
export type Address = Branded<{ readonly family: Family; readonly text: string }, 'Address'>;

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const IPV6_GROUP = /^[\da-f]{1,4}$/i;

/**
 * Counts the 16-bit groups between colons; returns NaN for any other text. Only the last may be an
 * IPv4 address, which counts as two.
 */
function groups(text: string, mayEndInIpv4: boolean): number {
  if (text === '') return 0;
  const parts = text.split(':');
  const last = parts.at(-1) ?? '';
  const [read, more] = mayEndInIpv4 && IPV4.test(last) ? [parts.slice(0, -1), 2] : [parts, 0];
  return read.every((part) => IPV6_GROUP.test(part)) ? read.length + more : Number.NaN;
}

/**
 * Returns the family of an address as inet_pton(3) reads it. `isIP` of node:net answers the same,
 * but its first call takes milliseconds.
 */
export function familyOf(text: string): Family | undefined {
  if (IPV4.test(text)) return 'ipv4';
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const isIpv6 =
    tail === undefined ? groups(head, true) === 8 : groups(head, false) + groups(tail, true) <= 7;
  return isIpv6 ? 'ipv6' : undefined;
}

/**
 * Accepts the addresses that inet_pton(3) accepts: no octal, no short forms. Refuses zone
 * identifiers (`fe80::1%eth0`) and IPv6 addresses that hold an IPv4 one (`::ffff:192.0.2.1`,
 * `::192.0.2.1`): neither can stand in a rule for the address it seems to name.
 */
export function parseAddress(text: string): Address | undefined {
  if (text.includes('%')) return undefined;
  switch (familyOf(text)) {
    case 'ipv4':
      return { family: 'ipv4', text } as Address;
    case 'ipv6': {
      const parsed = ipaddr.IPv6.parse(text);
      const holdsIpv4 =
        parsed.parts.slice(0, 5).every((part) => part === 0) &&
        (parsed.parts[5] === 0xffff || parsed.parts[6] !== 0);
      return holdsIpv4
        ? undefined
        : ({ family: 'ipv6', text: parsed.toRFC5952String() } as Address);
    }
    default:
      return undefined;
  }
}

/**
 * Parses an address of a known family. The library's own `parse` reads a text twice, to learn the
 * family first.
 */
export function readAs(family: Family, text: string): ipaddr.IPv4 | ipaddr.IPv6 {
  return family === 'ipv4' ? ipaddr.IPv4.parse(text) : ipaddr.IPv6.parse(text);
}

/**
 * Tells whether packets to this address can go to one host on a network: not unspecified, loopback,
 * multicast or broadcast (RFC 6890, RFC 4291).
 */
export function isUnicast({ family, text }: Address): boolean {
  const range = readAs(family, text).range();
  return !['unspecified', 'loopback', 'multicast', 'broadcast'].includes(range);
}
