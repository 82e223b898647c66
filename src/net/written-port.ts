import { type Port, parsePort } from './port.ts';

/**
 * Services that a VPN or its proxy may listen as, by their names in services(5) (IANA's registry of
 * service names).
 */
const SERVICES: ReadonlyMap<string, string> = new Map([
  ['domain', '53'],
  ['ftp', '21'],
  ['ftps', '990'],
  ['http', '80'],
  ['http-alt', '8080'],
  ['https', '443'],
  ['imap', '143'],
  ['imap2', '143'],
  ['imaps', '993'],
  ['ipsec-nat-t', '4500'],
  ['isakmp', '500'],
  ['ldap', '389'],
  ['ldaps', '636'],
  ['ntp', '123'],
  ['openvpn', '1194'],
  ['pop3', '110'],
  ['pop3s', '995'],
  ['smtp', '25'],
  ['socks', '1080'],
  ['ssh', '22'],
  ['submission', '587'],
  ['submissions', '465'],
]);

/**
 * Parses the port that a person wrote into a profile, as glibc's getaddrinfo(3) reads it for
 * OpenVPN. Accepts the name of a service, or a number as strtoul(3) reads it, with spaces, a plus
 * or zeros before it. Keeps its lowest 16 bits. Returns `undefined` when the result is no port.
 */
export function writtenPort(text: string): Port | undefined {
  if (/^\s*\+?\d{1,10}$/.test(text)) return parsePort(String(Number(text.trim()) % 65536));
  return parsePort(SERVICES.get(text) ?? '');
}
