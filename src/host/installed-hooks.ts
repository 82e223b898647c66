import { readFileSync, rmSync } from 'node:fs';
import { cacheFile, idOf } from './cache-file.ts';
import { type CodeCache, fittingData, interpreterFacts } from './code-cache.ts';
import { readProgram } from './hook-program.ts';
import { firstFile, placeText } from './program-files.ts';
import { type Rehearsal, rehearse } from './rehearse.ts';

/** Where the parts of the installed hooks lie. */
export interface HookFiles extends Rehearsal {
  readonly cache: string;
  /** Path of each hook, by its name. */
  readonly hooks: Readonly<Record<string, string>>;
}

const START = /^const START = (.*);$/m;

/** What an installed hook knows of its code cache. */
function cacheOf(hook: string): CodeCache | undefined {
  try {
    const [, text = 'null'] = START.exec(readFileSync(hook, 'utf8')) ?? [];
    return (JSON.parse(text) as { readonly cache: CodeCache | null } | null)?.cache ?? undefined;
  } catch {
    return undefined;
  }
}

/** The cache that is there, when it is of this very program and interpreter. */
function kept({ hooks, program, node }: HookFiles, text: string): CodeCache | undefined {
  const cache = Object.values(hooks).map(cacheOf)[0];
  if (cache === undefined || firstFile([program]) === undefined || readProgram(program) !== text) return undefined;
  return fittingData(cache, text, node) === undefined ? undefined : cache;
}

/**
 * Places the program of the hooks, its code cache, and a file for each hook, which names both; `start` is the text of start.ts, `firstLine` what
 * starts its interpreter. Gives why there is no cache, when there is none. A hook that starts meanwhile finds the old program with the old cache,
 * or one of them without a cache.
 */
export function placeHooks(files: HookFiles, firstLine: string, start: string, text: string): string | undefined {
  let cache = kept(files, text);
  let why: string | undefined;
  if (cache === undefined) {
    rmSync(files.cache, { force: true });
    placeText(files.program, text, 0o644);
    const made = rehearse(files);
    if ('why' in made) why = made.why;
    else {
      placeText(files.cache, cacheFile(made), 0o644);
      cache = { path: files.cache, id: idOf(made), program: text.length, ...interpreterFacts(files.node) };
    }
  }
  for (const [hook, path] of Object.entries(files.hooks)) {
    const known = JSON.stringify({ hook, program: files.program, cache: cache ?? null });
    placeText(path, `${firstLine}\nconst START = ${known};\n${start}`, 0o755);
  }
  return why;
}
