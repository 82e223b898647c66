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
 * The only way to a terminal that may show a progress line. The thread that draws the line writes
 * only while this program does not.
 */
export interface ProgressLine {
  /**
   * Names the work that goes on from now on; an empty text names none. Does not wait for the
   * terminal.
   */
  show(text: string): void;
  /** Runs `write`, which begins on an empty line. The progress line returns afterwards. */
  beside(write: () => void): void;
  /** Runs `write`, which begins on an empty line, and shows nothing more until the next `show`. */
  instead(write: () => void): void;
}

/**
 * For a stderr that is no terminal, or a program that draws nothing: writes everything unchanged.
 */
export const NO_PROGRESS_LINE: ProgressLine = {
  show: () => undefined,
  beside: (write) => write(),
  instead: (write) => write(),
};

/**
 * Makes one progress line on the terminal of stderr, shown after half a second. A thread draws it:
 * commands stand still while they wait for other programs.
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
    // From now on the thread draws no earlier text, whether or not it has read this message.
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
