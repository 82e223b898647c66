import { KillswitchError } from '../errors.ts';
import { printable } from '../net/printable.ts';

/** Reads one fact, and returns `otherwise` when that fails. */
export type Learn = <Value>(read: () => Value, otherwise: Value) => Value;

/** A reader that continues past every failure. */
export interface Learner {
  readonly learn: Learn;
  /** Why facts could not be read so far: one line per reason, escaped. */
  readonly unknown: readonly string[];
}

export function learner(): Learner {
  const unknown: string[] = [];
  const learn: Learn = (read, otherwise) => {
    try {
      return read();
    } catch (thrown) {
      if (!(thrown instanceof KillswitchError)) throw thrown;
      const why = printable([thrown.message, ...thrown.detail].join('; '));
      if (!unknown.includes(why)) unknown.push(why);
      return otherwise;
    }
  };
  return { learn, unknown };
}
