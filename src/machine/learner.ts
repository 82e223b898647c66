import { KillswitchError } from '../errors.ts';
import { printable } from '../net/printable.ts';

/** Reads one part of what there is to know; where that fails, `otherwise` stands in its place. */
export type Learn = <Value>(read: () => Value, otherwise: Value) => Value;

/** A reader that goes on whatever cannot be read. */
export interface Learner {
  readonly learn: Learn;
  /** Why something could not be read so far: one line for each reason, escaped. */
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
