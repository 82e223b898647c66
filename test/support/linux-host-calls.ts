/**
 * A program of its own, run in a sandbox: calls the real Host as its argument says, a list of
 * `[name, ...arguments]` in JSON, and writes what each call came to as JSON. `limits` are those of
 * the host.
 */
import { writeSync } from 'node:fs';
import { KillswitchError } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import { linuxHost } from '../../src/host/linux.ts';

const [, , milliseconds = '60000', calls = '[]'] = process.argv;
const host: Host = linuxHost({ name: 'test', milliseconds: Number(milliseconds), shown: 'silent' });

function shown(value: unknown): unknown {
  return value instanceof Uint8Array
    ? Buffer.from(value).toString('latin1')
    : value instanceof Map
      ? [...value]
      : (value ?? null);
}

function called([name, ...args]: readonly unknown[]): unknown {
  switch (name) {
    case 'exclusively':
      // Its work: say so, and wait so many milliseconds.
      return host.exclusively(() => {
        writeSync(2, 'held\n');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(args[0] ?? 0));
        return 'done';
      });
    case 'removeIf':
      return host.removeIf(String(args[0]), (text) => text === args[1]);
    case 'umask':
      return process.umask(Number(args[0]));
    default: {
      const work = host[String(name) as keyof Host] as (...words: readonly unknown[]) => unknown;
      return work(...args);
    }
  }
}

const results = (JSON.parse(calls) as readonly (readonly unknown[])[]).map((call) => {
  const since = performance.now();
  const seconds = () => (performance.now() - since) / 1000;
  try {
    return { value: shown(called(call)), seconds: seconds() };
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) return { thrown: String(thrown), seconds: seconds() };
    const { code, message, next, detail } = thrown;
    return { code, message, next, detail, seconds: seconds() };
  }
});
process.stdout.write(`${JSON.stringify(results)}\n`);
process.exit(0);
