import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ownFolder } from './program-files.ts';
import type { ProgressOrders, ProgressText } from './progress-thread.ts';
import {
  ERASE_LINE,
  freeTerminal,
  monotonicMilliseconds,
  TERMINAL,
  TERMINAL_BYTES,
  takeTerminal,
} from './terminal-lock.ts';

/**
 * The one way to a terminal that may show a progress line: the thread that draws the line writes
 * only while nobody here does.
 */
export interface ProgressLine {
  /**
   * Names what takes its time from now on; an empty text: nothing. Does not wait for the terminal.
   */
  show(text: string): void;
  /** Runs `write`, which begins on an empty line. What was shown goes on afterwards. */
  beside(write: () => void): void;
  /** Runs `write`, which begins on an empty line, and shows nothing more until the next `show`. */
  instead(write: () => void): void;
}

/**
 * Where stderr is no terminal, or for a program that draws nothing: everything is written as it is.
 */
export const NO_PROGRESS_LINE: ProgressLine = {
  show: () => undefined,
  beside: (write) => write(),
  instead: (write) => write(),
};

/**
 * One line on the terminal that is stderr, from half a second on. A thread draws it: commands stand
 * still while they wait for other programs.
 * @param columns The terminal's width in characters.
 */
export function progressLine(columns: number): ProgressLine {
  const shared = new Int32Array(new SharedArrayBuffer(TERMINAL_BYTES));
  let worker: Worker | undefined;

  const show = (text: string) => {
    if (worker === undefined && text === '') return;
    worker ??= new Worker(join(ownFolder(), 'progress.js'), {
      workerData: { columns, shared } satisfies ProgressOrders,
    }).on('error', () => undefined);
    worker.unref();
    // From here on the thread draws no earlier text, whether it has read this message or not.
    const number = Atomics.add(shared, TERMINAL.current, 1) + 1;
    worker.postMessage({ text, since: monotonicMilliseconds(), number } satisfies ProgressText);
  };

  const beside = (write: () => void) => {
    takeTerminal(shared);
    try {
      if (Atomics.exchange(shared, TERMINAL.drawn, 0) !== 0) writeSync(2, ERASE_LINE);
      write();
    } finally {
      freeTerminal(shared);
    }
  };

  const instead = (write: () => void) => {
    show('');
    beside(write);
  };

  return { show, beside, instead };
}
