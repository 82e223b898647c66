import { readFileSync, statSync } from 'node:fs';

/**
 * A code cache's identity for the installed hooks: its id, program and interpreter. It is
 * executable code of root's.
 */
export interface CodeCache {
  readonly path: string;
  /** SHA-256 of the data, in hexadecimal. */
  readonly id: string;
  /** Characters of the program. */
  readonly program: number;
  /**
   * `process.version`, and the size and time (milliseconds since 1970) of the interpreter's file.
   */
  readonly node: string;
  readonly size: number;
  readonly modified: number;
}

/** Returns the identity of an interpreter that has the running version. */
export function interpreterFacts(path: string): Pick<CodeCache, 'node' | 'size' | 'modified'> {
  const { size, mtimeMs } = statSync(path);
  return { node: process.version, size, modified: mtimeMs };
}

/**
 * Returns the data of a cache made of this program by this interpreter; undefined when anything
 * differs. V8 checks its own version, its flags and the program's length. It checks none of the
 * code in the cache: a flipped bit there crashes or hangs.
 */
export function fittingData(
  cache: CodeCache,
  program: string,
  interpreter: string,
): Buffer | undefined {
  try {
    const { node, size, modified } = interpreterFacts(interpreter);
    if (
      cache.program !== program.length ||
      cache.node !== node ||
      cache.size !== size ||
      cache.modified !== modified
    )
      return undefined;
    const file = readFileSync(cache.path);
    const end = file.length - cache.id.length;
    const data = file.subarray(0, end / 2);
    return file.toString('latin1', end) === cache.id && data.equals(file.subarray(end / 2, end))
      ? data
      : undefined;
  } catch {
    return undefined;
  }
}
