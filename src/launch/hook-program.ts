import { readFileSync } from 'node:fs';
import { Script } from 'node:vm';
import type { BackendName } from '../policy/settings.ts';

/** The exports of the hooks' bundle (hooks/hooks.ts). */
interface HookExports {
  readonly HOOKS: Readonly<Record<string, () => void>>;
}

/** The hooks use one of these backends' code caches: docs/decisions/0070. */
export const BACKENDS: readonly BackendName[] = ['nftables', 'iptables'];

type Body = (module: { exports: object }, require: NodeJS.Require) => void;

/**
 * Compiles the bundle of the hooks, which is one function. `cachedData` is V8's earlier result for
 * this very text.
 */
export function compileHooks(source: string, filename: string, cachedData?: Buffer): Script {
  return new Script(source, { filename, ...(cachedData === undefined ? {} : { cachedData }) });
}

/** Runs the bundle's body. It starts no hook yet. */
export function hooksOf(script: Script, load: NodeJS.Require): HookExports {
  const module = { exports: {} };
  (script.runInThisContext() as Body)(module, load);
  return module.exports as HookExports;
}

/** Reads the bundle. It is ASCII only: one byte for each character, in V8 too. */
export function readProgram(path: string): string {
  return readFileSync(path, 'latin1');
}
