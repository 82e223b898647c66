import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import {
  type Completion,
  completedAddresses,
  completionOf,
  type NameAnswer,
} from './search-candidates.ts';

/**
 * A program of its own: reads `{ names, servers, seconds }` as JSON and writes each name's
 * addresses in DNS. It asks only DNS, never /etc/hosts, and stops by itself. It completes names for
 * the system's resolvers as getaddrinfo(3) does.
 */
interface Question {
  readonly names: readonly string[];
  readonly servers: readonly string[] | null;
  readonly seconds: number;
  /** Our addresses to ask from; only the first of each family counts. */
  readonly sources: readonly string[];
}

/** Limit of simultaneous questions: a thousand profiles must not open a thousand sockets. */
const AT_ONCE = 32;
const PAUSE_MILLISECONDS = 500;

/**
 * c-ares's words for NXDOMAIN and for a name without data: no such name, or none with an address.
 */
const NO_NAME = ['ENOTFOUND', 'ENODATA'];

/** Asks for the name as it is, without a search list. */
const AS_IT_IS: Completion = { search: [], ndots: 1 };

/**
 * Reads the system's completion of names. Any account may own the file: it only decides which names
 * are asked for.
 */
function systemCompletion(): Completion {
  try {
    return completionOf(readFileSync('/etc/resolv.conf', 'utf8'), hostname());
  } catch {
    return AS_IT_IS;
  }
}

/** Asks a resolver for one name. */
async function answerOf(resolver: Resolver, name: string): Promise<NameAnswer> {
  const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  return {
    addresses: found.flatMap((each) => (each.status === 'fulfilled' ? each.value : [])),
    isUnknown: found.every(
      (each) => each.status === 'fulfilled' || NO_NAME.includes(String(each.reason?.code)),
    ),
  };
}

async function ask({
  names,
  servers,
  seconds,
  sources,
}: Question): Promise<Record<string, readonly string[]>> {
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  if (servers !== null) resolver.setServers(servers);
  const source = {
    ipv4: sources.find((each) => !each.includes(':')),
    ipv6: sources.find((each) => each.includes(':')),
  };
  // c-ares takes both at once. The wildcard replaces a family without an address.
  if (sources.length > 0) resolver.setLocalAddress(source.ipv4 ?? '0.0.0.0', source.ipv6 ?? '::');
  const completion = servers === null ? systemCompletion() : AS_IT_IS;
  const answers: Record<string, readonly string[]> = {};
  const end = performance.now() + seconds * 1000;
  const stop = setTimeout(() => resolver.cancel(), seconds * 1000);
  let left = [...names];
  // A tunnel that has just come up may not carry the first questions: asks again until the
  // deadline.
  while (left.length > 0 && performance.now() < end) {
    const queue = [...left];
    const worker = async () => {
      for (
        let name = queue.shift();
        name !== undefined && performance.now() < end;
        name = queue.shift()
      ) {
        const addresses = await completedAddresses(name, completion, (each) =>
          answerOf(resolver, each),
        );
        if (addresses.length > 0) answers[name] = addresses;
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, queue.length) }, worker));
    left = left.filter((name) => answers[name] === undefined);
    if (left.length > 0 && performance.now() + PAUSE_MILLISECONDS < end)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
    else break;
  }
  clearTimeout(stop);
  return answers;
}

const question = JSON.parse(readFileSync(0, 'utf8')) as Question;
void ask(question).then((answers) => {
  process.stdout.write(JSON.stringify(answers));
});
