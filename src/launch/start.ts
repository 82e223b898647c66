import { readFileSync } from 'node:fs';
import type { BackendName } from '../policy/settings.ts';
import { type CodeCache, fittingData } from './code-cache.ts';
import { compileHooks, hooksOf, readProgram } from './hook-program.ts';

/**
 * The text of an installed hook: `install` writes a line above it that says which hook it is. It
 * starts the program of all hooks from the code cache when that fits. The program is read before
 * the cache: `install` removes the old caches before it places another program.
 */
declare const START: {
  readonly hook: string;
  readonly program: string;
  /** What `lock` has written down, the backend in it. */
  readonly record: string;
  readonly caches: Readonly<Partial<Record<BackendName, CodeCache>>>;
};

/** The backend that this hook will most likely meet; one that it does not costs time alone. */
function backend(): BackendName {
  try {
    return readFileSync(START.record, 'latin1').includes('"iptables"') ? 'iptables' : 'nftables';
  } catch {
    return 'nftables';
  }
}

const source = readProgram(START.program);
// The other's holds most of it.
const cache = START.caches[backend()] ?? Object.values(START.caches)[0];
const data = cache && fittingData(cache, source, process.execPath);
hooksOf(compileHooks(source, START.program, data), require).HOOKS[START.hook]?.();
// Nothing is left to wait for, and to take the heap apart would take a while.
process.exit();
