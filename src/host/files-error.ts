import { dirname } from 'node:path';
import { KillswitchError } from '../errors.ts';

/**
 * Returns the result of `work`.
 * @throws KillswitchError FILES for any error of the system, which it names.
 */
export function files<Result>(what: string, path: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof KillswitchError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KillswitchError(
      'FILES',
      `could not ${what} ${path}`,
      `Check that ${dirname(path)} exists, has free space and belongs to root.`,
      [why],
      { cause },
    );
  }
}
