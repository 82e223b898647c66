import ipaddr from 'ipaddr.js';
import { type Address, parseAddress } from './address.ts';

/** An IPv4 address in the short, hexadecimal and octal forms of inet_aton(3). */
const SHORT_IPV4 = /^(?:0x[\da-f]+|\d+)(?:\.(?:0x[\da-f]+|\d+)){0,3}$/i;

/**
 * Parses the address that a person wrote into a profile, as getaddrinfo(3) reads it for OpenVPN.
 * Accepts short, hexadecimal and octal IPv4, an IPv4 address inside `::ffff:0:0/96`, which leaves
 * as IPv4, and an address with its zone (RFC 4007 11). Returns `undefined` for a name, and for the
 * IPv6 addresses of RFC 4291 2.5.5.1, which no host has.
 */
export function writtenAddress(text: string): Address | undefined {
  const [bare = ''] = text.split('%');
  const address = parseAddress(bare);
  if (address !== undefined)
    return text === bare || address.family === 'ipv6' ? address : undefined;
  if (SHORT_IPV4.test(text))
    return ipaddr.IPv4.isValid(text) ? parseAddress(ipaddr.IPv4.parse(text).toString()) : undefined;
  // The library takes `::192.0.2.1` for a mapped address, which it is not.
  if (!/:0*ffff:/i.test(bare) || !ipaddr.IPv6.isValid(bare)) return undefined;
  const parsed = ipaddr.IPv6.parse(bare);
  return parsed.isIPv4MappedAddress() ? parseAddress(parsed.toIPv4Address().toString()) : undefined;
}
