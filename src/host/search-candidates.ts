/**
 * The completion rules of resolv.conf(5): its search list, and the number of dots that makes a name
 * whole.
 */
export interface Completion {
  readonly search: readonly string[];
  readonly ndots: number;
}

/** Limit of search domains, above any machine's: each costs two questions. */
const MOST_DOMAINS = 8;

/**
 * Reads the rules of resolv.conf(5): the last line `search` or `domain` counts. Without one it
 * takes the domain of this machine's own name.
 */
export function completionOf(resolvConf: string, hostname: string): Completion {
  const lines = resolvConf.split('\n').map((line) => line.trim().split(/\s+/));
  const listed = lines
    .filter(([key]) => key === 'search' || key === 'domain')
    .at(-1)
    ?.slice(1);
  const [, own] = /^[^.]+\.(.+)$/.exec(hostname) ?? [];
  const ndots = lines
    .filter(([key]) => key === 'options')
    .flatMap((words) => words.flatMap((word) => /^ndots:(\d{1,2})$/.exec(word)?.[1] ?? []))
    .at(-1);
  return {
    search: (listed ?? (own === undefined ? [] : [own]))
      .map((domain) => domain.toLowerCase().replace(/\.$/, ''))
      .filter((domain) => /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(domain))
      .slice(0, MOST_DOMAINS),
    ndots: Math.min(15, Number(ndots ?? 1)),
  };
}

/**
 * Returns the names that getaddrinfo(3) asks for in place of one, in its order. With enough dots
 * the name itself comes first, else last (glibc, resolv/res_query.c, __res_context_search).
 */
export function searchCandidates(name: string, { search, ndots }: Completion): readonly string[] {
  const completed = search.map((domain) => `${name}.${domain}`).filter((each) => each.length < 254);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...completed] : [...completed, name];
}

/** A resolver's answer for a name: its addresses, or the certainty that it has none. */
export interface NameAnswer {
  readonly addresses: readonly string[];
  readonly isUnknown: boolean;
}

/**
 * Returns the addresses of a name, or of the first completed one that has any. Stops when the name
 * itself got no answer: it must not become another domain's.
 */
export async function completedAddresses(
  name: string,
  completion: Completion,
  ask: (name: string) => Promise<NameAnswer>,
): Promise<readonly string[]> {
  for (const candidate of searchCandidates(name, completion)) {
    const { addresses, isUnknown } = await ask(candidate);
    if (addresses.length > 0 || (candidate === name && !isUnknown)) return addresses;
  }
  return [];
}
