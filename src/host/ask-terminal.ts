import { createInterface } from 'node:readline';

/** Asks a person at the terminal that this process was started from. */
export interface Asker {
  /** Whether there is such a terminal, to read from and to write to. */
  isThere(): boolean;
  /** The line that was typed; empty when none came in time. */
  question(text: string): Promise<string>;
}

/** A command must end while nobody answers: its own time counts meanwhile. */
const ANSWER_MILLISECONDS = 45_000;

export const TERMINAL: Asker = {
  isThere: () => process.stdin.isTTY && process.stderr.isTTY,
  question: (text) =>
    new Promise((resolve) => {
      // Not as a terminal: Ctrl-C ends the process as ever.
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
