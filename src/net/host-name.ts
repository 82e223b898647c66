import type { Branded } from './brand.ts';

/** The name of a host, in lower case, as it may stand in hosts(5) and in a DNS question. */
export type HostName = Branded<string, 'HostName'>;

/** Letters, digits and hyphens, labels of at most 63, 253 in all (RFC 1123 2.1); the last one not a number, which
 * inet_aton(3) would read as an address. */
export function parseHostName(text: string): HostName | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  const labels = name.split('.');
  const fits = name.length <= 253 && labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
  return fits && !/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '') ? (name as HostName) : undefined;
}
