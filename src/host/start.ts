import { type CodeCache, fittingData } from './code-cache.ts';
import { compileHooks, hooksOf, readProgram } from './hook-program.ts';

/**
 * The text of an installed hook: `install` writes a line above it that says which hook it is. It starts the program of all hooks from the code
 * cache when that fits. The program is read before the cache: `install` removes the old cache before it places another program.
 */
declare const START: { readonly hook: string; readonly program: string; readonly cache: CodeCache | null };

const source = readProgram(START.program);
const data = START.cache === null ? undefined : fittingData(START.cache, source, process.execPath);
hooksOf(compileHooks(source, START.program, data), require).HOOKS[START.hook]?.();
// Nothing is left to wait for, and to take the heap apart would take a while.
process.exit();
