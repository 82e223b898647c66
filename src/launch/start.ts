import { readFileSync } from 'node:fs';
import type { BackendName } from '../policy/settings.ts';
import { type CodeCache, fittingData } from './code-cache.ts';
import { compileHooks, hooksOf, readProgram } from './hook-program.ts';

/**
 * The text of an installed hook: `install` adds a line above it that names the hook. It starts the
 * program of all hooks, from the code cache when that fits. It reads the program before the cache:
 * `install` removes the old caches before it places another program.
 */
declare const START: {
  readonly hook: string;
  readonly program: string;
  /** The file of `lock`'s record, with the backend in it. */
  readonly record: string;
  readonly caches: Readonly<Partial<Record<BackendName, CodeCache>>>;
};

/** Guesses the backend that this hook will use. A wrong guess only costs time. */
function backend(): BackendName {
  try {
    return readFileSync(START.record, 'latin1').includes('"iptables"') ? 'iptables' : 'nftables';
  } catch {
    return 'nftables';
  }
}

const source = readProgram(START.program);
// The other backend's cache holds most of the code too.
const cache = START.caches[backend()] ?? Object.values(START.caches)[0];
const data = cache && fittingData(cache, source, process.execPath);
hooksOf(compileHooks(source, START.program, data), require).HOOKS[START.hook]?.();
// Exits at once: nothing is left to wait for, and freeing the heap takes a while.
process.exit();
