import { KillswitchError } from '../../src/errors.ts';

/**
 * The error of ours that `work` ends in.
 * @throws Error when it ends in none, and whatever else was thrown.
 */
export function thrownBy(work: () => unknown): KillswitchError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}
