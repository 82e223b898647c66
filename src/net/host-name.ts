import type { Branded } from './brand.ts';

/** The name of a host, in lower case, as it may stand in hosts(5) and in a DNS question. */
export type HostName = Branded<string, 'HostName'>;

/**
 * Accepts the names that the resolver asks for: letters, digits, hyphens and, since it does not
 * mind them, underscores. Labels have at most 63 characters, the name 253 (RFC 1035 2.3.4, RFC 2181
 * 11). Refuses a name of numbers alone: inet_aton(3) would read it as an address.
 */
export function parseHostName(text: string): HostName | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  const labels = name.split('.');
  const fits =
    name.length <= 253 && labels.every((label) => /^[a-z0-9_][a-z0-9_-]{0,62}$/.test(label));
  return fits && !labels.every((label) => /^(\d+|0x[0-9a-f]*)$/.test(label))
    ? (name as HostName)
    : undefined;
}
