import { readFileSync } from 'node:fs';
import { Script } from 'node:vm';
import type { BackendName } from '../policy/settings.ts';

/** What the bundle of the hooks exports: hooks/hooks.ts. */
interface HookExports {
  readonly HOOKS: Readonly<Record<string, () => void>>;
}

/** Hooks use the code cache of one of them: docs/decisions/0070. */
export const BACKENDS: readonly BackendName[] = ['nftables', 'iptables'];

type Body = (module: { exports: object }, require: NodeJS.Require) => void;

/**
 * The bundle of the hooks, one function, compiled. `cachedData` is what V8 made of this very text
 * before.
 */
export function compileHooks(source: string, filename: string, cachedData?: Buffer): Script {
  return new Script(source, { filename, ...(cachedData === undefined ? {} : { cachedData }) });
}

/** Runs the bundle's body, which starts nothing yet. */
export function hooksOf(script: Script, load: NodeJS.Require): HookExports {
  const module = { exports: {} };
  (script.runInThisContext() as Body)(module, load);
  return module.exports as HookExports;
}

/** The bundle holds ASCII alone: one byte for each character, in V8 as well. */
export function readProgram(path: string): string {
  return readFileSync(path, 'latin1');
}
