import type { Demand } from './demand.ts';

/** The first line of a resolv.conf of ours: by it we know it again. */
export const OURS = '# ovpn-killswitch: while a tunnel is up; what stood here before comes back';

/** glibc and musl ask no more than three servers (resolv.conf(5), MAXNS). */
const MOST_NAMESERVERS = 3;

/**
 * The addresses that a resolv.conf can name: those asked in plain first, for it cannot say that TLS
 * is wanted.
 */
export function nameserversOf(demands: readonly Demand[]): readonly string[] {
  const all = demands.flatMap(({ resolvers }) => resolvers);
  const plainFirst = [
    ...all.filter(({ transport }) => transport === undefined),
    ...all.filter(({ transport }) => transport !== undefined),
  ];
  return [...new Set(plainFirst.map(({ text }) => text))].slice(0, MOST_NAMESERVERS);
}

/** The lines of resolv.conf(5) that the demands make. */
export function resolvConfLines(demands: readonly Demand[]): string {
  const domains = [...new Set(demands.flatMap(({ searchDomains }) => searchDomains))];
  const lines = [
    ...nameserversOf(demands).map((text) => `nameserver ${text}`),
    ...(domains.length > 0 ? [`search ${domains.join(' ')}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** The whole file, where it is ours to write. */
export function resolvConfText(demands: readonly Demand[]): string {
  return `${OURS}\n${resolvConfLines(demands)}`;
}

/** Whether a resolv.conf is one that we wrote. */
export function isOurs(text: string): boolean {
  return text.startsWith(`${OURS}\n`);
}

/** The servers that a resolv.conf names, in their order. */
export function nameservers(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
}

/**
 * How a resolv.conf differs from what the demands ask; `alone` when nobody else may stand in it.
 */
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
