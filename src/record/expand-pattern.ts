import { orElse } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { isRoots } from './state-file.ts';

/**
 * Lists the matching names in a folder. Returns the pattern itself when the folder cannot be
 * listed: reading that path reports why.
 */
function namesIn(files: Files, folder: string, pattern: string): readonly string[] {
  return orElse(
    () => files.list(folder),
    () => [pattern],
  );
}

/**
 * Limit of files listed one by one from a folder that others can write to. None of them is read.
 */
const MOST_OF_OTHERS = 20;

/** Expands `*` and `?` in the last part of a path (glob(7)). */
export function expandPattern(files: Files, pattern: string): readonly string[] {
  const cut = pattern.lastIndexOf('/');
  const [folder, last] = [pattern.slice(0, cut), pattern.slice(cut + 1)];
  if (!/[*?]/.test(last)) return files.exists(pattern) ? [pattern] : [];
  const source = last
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  const shape = new RegExp(`^${source}$`);
  const names = namesIn(files, folder, last).filter(
    (name) => shape.test(name) && !name.startsWith('.'),
  );
  // The pattern itself stands for the rest: reading it reports why.
  const few =
    names.length > MOST_OF_OTHERS && !isRoots(files, folder)
      ? [...names.slice(0, MOST_OF_OTHERS), last]
      : names;
  return few.map((name) => `${folder}/${name}`);
}
