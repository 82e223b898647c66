import { createInterface } from 'node:readline';

/** Asks a person at the terminal that this process was started from. */
export interface Asker {
  /** Whether there is such a terminal, to read from and to write to. */
  isThere(): boolean;
  /** Asks, and returns the typed line; empty when none came in time. */
  question(text: string): Promise<string>;
}

/** Limit of the wait for an answer, which counts towards the command's own deadline. */
const ANSWER_MILLISECONDS = 45_000;

export const TERMINAL: Asker = {
  isThere: () => process.stdin.isTTY && process.stderr.isTTY,
  question: (text) =>
    new Promise((resolve) => {
      // Not as a terminal, so that Ctrl-C still ends the process.
      const reader = createInterface({
        input: process.stdin,
        output: process.stderr,
        terminal: false,
      });
      const late = setTimeout(() => reader.close(), ANSWER_MILLISECONDS);
      reader.once('close', () => {
        clearTimeout(late);
        resolve('');
      });
      reader.question(text, (answer) => {
        resolve(answer);
        reader.close();
      });
    }),
};
