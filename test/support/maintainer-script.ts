import { join, resolve } from 'node:path';
import { SCRIPT_WORDS } from '../../src/cli/script-words.ts';

const PACKAGING = resolve(import.meta.dirname, '../../packaging');

/** Of packaging/script.mjs, which has no types. */
interface ScriptModule {
  readonly filledScript: (path: string, words: Readonly<Record<string, string>>) => string;
}

/** A script of a package, such as `deb/prerm`, for the prefix of code that runs from its source. */
export async function maintainerScript(name: string): Promise<string> {
  const { filledScript } = (await import(join(PACKAGING, 'script.mjs'))) as ScriptModule;
  return filledScript(join(PACKAGING, name), SCRIPT_WORDS);
}
