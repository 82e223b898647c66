import type { Branded } from './brand.ts';

/** The name of a host, in lower case, as it may stand in hosts(5) and in a DNS question. */
export type HostName = Branded<string, 'HostName'>;

/**
 * What the resolver asks for: letters, digits, hyphens and, as it does not mind them, underscores;
 * labels of at most 63, 253 in all (RFC 1035 2.3.4, RFC 2181 11). A name of numbers alone is
 * refused: inet_aton(3) would read it as an address.
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
