import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';

/**
 * A program of its own: reads `{ names, servers, seconds }` as JSON and writes the addresses that
 * DNS has for each name. It asks over DNS alone, never /etc/hosts, and stops by itself.
 */
interface Question {
  readonly names: readonly string[];
  readonly servers: readonly string[] | null;
  readonly seconds: number;
  /** Our addresses to ask from; of each family the first. */
  readonly sources: readonly string[];
}

/** As many questions at once: a thousand profiles must not open a thousand sockets. */
const AT_ONCE = 32;
const PAUSE_MILLISECONDS = 500;

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
  // c-ares takes both at once; the wildcard stands for a family without one.
  if (sources.length > 0) resolver.setLocalAddress(source.ipv4 ?? '0.0.0.0', source.ipv6 ?? '::');
  const answers: Record<string, readonly string[]> = {};
  const end = performance.now() + seconds * 1000;
  const stop = setTimeout(() => resolver.cancel(), seconds * 1000);
  let left = [...names];
  // A tunnel that has just come up may not carry the first questions: ask again until the time is
  // over.
  while (left.length > 0 && performance.now() < end) {
    const queue = [...left];
    const worker = async () => {
      for (
        let name = queue.shift();
        name !== undefined && performance.now() < end;
        name = queue.shift()
      ) {
        const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
        const addresses = found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
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
