import { type Address, type Family, parseAddress } from '../../src/net/address.ts';

/** One address of each family. */
export type Pair = Readonly<Record<Family, Address>>;

/** An address that a test writes down. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new TypeError(`"${text}" is not an address`);
  return parsed;
}

function pair(ipv4: string, ipv6: string): Pair {
  return { ipv4: address(ipv4), ipv6: address(ipv6) };
}

/**
 * Where the packets of tests come from and go to: addresses for documentation, and private ones
 * (RFC 5737, RFC 3849, RFC 1918, RFC 4193).
 */
export const PLACES = {
  internet: pair('198.51.100.80', '2001:db8:80::80'),
  endpoint: pair('203.0.113.10', '2001:db8:10::10'),
  'LAN host': pair('192.168.77.9', 'fd77::9'),
  'LAN router': pair('192.168.77.1', 'fd77::1'),
  'resolver in the tunnel': pair('10.8.0.1', 'fd00:8::1'),
  'resolver elsewhere': pair('198.51.100.53', '2001:db8:53::53'),
  'own address in the tunnel': pair('10.8.0.6', 'fd00:8::6'),
  'network routed into the tunnel': pair('10.50.3.4', 'fd50::4'),
  multicast: pair('224.0.0.251', 'ff02::fb'),
  // IPv6 has no broadcast: all nodes of the link are the nearest to it (RFC 4291 2.7.1).
  broadcast: pair('255.255.255.255', 'ff02::1'),
} as const satisfies Record<string, Pair>;
export type Place = keyof typeof PLACES;

/** This machine on its LAN. */
export const OWN_LAN: Pair = pair('192.168.77.2', 'fd77::2');
/** This machine in a second tunnel. */
export const OWN_SECOND: Pair = pair('10.9.0.6', 'fd00:9::6');
export const LOOPBACK_ADDRESS: Pair = pair('127.0.0.1', '::1');
