import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { firstFile, placeText } from '../host/program-files.ts';
import type { BackendName } from '../policy/settings.ts';
import { cacheFile, idOf } from './cache-file.ts';
import { type CodeCache, fittingData, interpreterFacts } from './code-cache.ts';
import { BACKENDS, readProgram } from './hook-program.ts';
import { type Rehearsal, type Rehearsed, rehearse } from './rehearse.ts';

/** The paths of the installed hooks' parts. */
export interface HookFiles extends Rehearsal {
  /** Path of the code cache of each backend. */
  readonly caches: Readonly<Record<BackendName, string>>;
  /** Path of the lock's record. */
  readonly record: string;
  /** Path of each hook, by its name. */
  readonly hooks: Readonly<Record<string, string>>;
}

const START = /^const START = (.*);$/m;

type Caches = Readonly<Partial<Record<BackendName, CodeCache>>>;

/** Returns the code caches that an installed hook names. */
function cachesOf(hook: string): Caches {
  try {
    const [, text = 'null'] = START.exec(readFileSync(hook, 'utf8')) ?? [];
    return (JSON.parse(text) as { readonly caches?: Caches } | null)?.caches ?? {};
  } catch {
    return {};
  }
}

/** Returns the existing caches if they are of this very program and interpreter. */
function kept({ hooks, program, node }: HookFiles, text: string): Caches | undefined {
  const caches = Object.values(hooks).map(cachesOf)[0] ?? {};
  if (firstFile([program]) === undefined || readProgram(program) !== text) return undefined;
  const all = Object.values(caches);
  return all.length > 0 && all.every((cache) => fittingData(cache, text, node) !== undefined)
    ? caches
    : undefined;
}

/**
 * Places the program of the hooks, its code caches, and a file for each hook, which names all of
 * them. `start` is the text of start.ts, `firstLine` the line that starts its interpreter. Returns
 * why there is no cache, if so. A hook that starts meanwhile finds the old program with an old
 * cache, or either program without a cache.
 */
export function placeHooks(
  files: HookFiles,
  firstLine: string,
  start: string,
  text: string,
): string | undefined {
  let caches = kept(files, text);
  let why: string | undefined;
  if (caches === undefined) {
    // Earlier versions had one cache for all backends.
    for (const path of [
      ...Object.values(files.caches),
      join(dirname(files.program), 'hooks.cache'),
    ])
      rmSync(path, { force: true });
    placeText(files.program, text, 0o644);
    const made = rehearse(files);
    if ('why' in made) why = made.why;
    else caches = placeCaches(files, made, text);
  }
  for (const [hook, path] of Object.entries(files.hooks)) {
    const known = JSON.stringify({
      hook,
      program: files.program,
      record: files.record,
      caches: caches ?? {},
    });
    placeText(path, `${firstLine}\nconst START = ${known};\n${start}`, 0o755);
  }
  return why;
}

function placeCaches(files: HookFiles, made: Rehearsed, text: string): Caches {
  const placed = BACKENDS.flatMap((backend): [BackendName, CodeCache][] => {
    const [path, data] = [files.caches[backend], made.get(backend)];
    // The backend's tools or kernel part are missing.
    if (data === undefined) return [];
    placeText(path, cacheFile(data), 0o644);
    return [
      [backend, { path, id: idOf(data), program: text.length, ...interpreterFacts(files.node) }],
    ];
  });
  return Object.fromEntries(placed);
}
