import type { Demand } from './demand.ts';

/**
 * The first line of every resolv.conf that this product writes; `isOurs` recognizes the file by it.
 */
export const OURS = '# ovpn-killswitch: while a tunnel is up; what stood here before comes back';

/** glibc and musl ask no more than three servers (resolv.conf(5), MAXNS). */
const MOST_NAMESERVERS = 3;

/**
 * Returns the addresses that a resolv.conf can name. Those asked in plain come first: the file
 * cannot say that TLS is wanted.
 */
export function nameserversOf(demands: readonly Demand[]): readonly string[] {
  const all = demands.flatMap(({ resolvers }) => resolvers);
  const plainFirst = [
    ...all.filter(({ transport }) => transport === undefined),
    ...all.filter(({ transport }) => transport !== undefined),
  ];
  return [...new Set(plainFirst.map(({ text }) => text))].slice(0, MOST_NAMESERVERS);
}

/** Renders the demands as lines of resolv.conf(5). */
export function resolvConfLines(demands: readonly Demand[]): string {
  const domains = [...new Set(demands.flatMap(({ searchDomains }) => searchDomains))];
  const lines = [
    ...nameserversOf(demands).map((text) => `nameserver ${text}`),
    ...(domains.length > 0 ? [`search ${domains.join(' ')}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** Renders the whole file, for a resolv.conf that this product writes itself. */
export function resolvConfText(demands: readonly Demand[]): string {
  return `${OURS}\n${resolvConfLines(demands)}`;
}

/** Tells whether this product wrote a resolv.conf. */
export function isOurs(text: string): boolean {
  return text.startsWith(`${OURS}\n`);
}

/** Returns the servers that a resolv.conf names, in their order. */
export function nameservers(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
}

/** Compares a resolv.conf with the demands. With `alone`, the file may name no other server. */
export function nameserverDifferences(
  text: string | undefined,
  demands: readonly Demand[],
  alone: boolean,
): readonly string[] {
  const wanted = nameserversOf(demands);
  const found = nameservers(text ?? '');
  const same = wanted.join(' ') === (alone ? found : found.slice(0, wanted.length)).join(' ');
  return same
    ? []
    : [`/etc/resolv.conf names ${found.join(' ') || 'nobody'} instead of ${wanted.join(' ')}`];
}
