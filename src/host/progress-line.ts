import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ownFolder } from './program-files.ts';
import type { ProgressOrders } from './progress-thread.ts';

/** Says what is going on from now on; an empty text: nothing. When it returns, what it said before is off the terminal. */
export type Progress = (text: string) => void;

/** How long a command waits for its own line to be taken away. */
const MOST_MILLISECONDS = 1000;

/**
 * One line on the terminal that is stderr, from half a second on. A thread draws it: commands stand still while they wait for other programs.
 * Without the thread there is no line.
 */
export function progressLine(columns: number): Progress {
  const taken = new Int32Array(new SharedArrayBuffer(4));
  let worker: Worker | undefined;
  let answers = true;
  return (text) => {
    if (!answers || (worker === undefined && text === '')) return;
    worker ??= new Worker(join(ownFolder(), 'progress.js'), { workerData: { columns, taken } satisfies ProgressOrders }).on(
      'error',
      () => undefined,
    );
    worker.unref();
    const before = Atomics.load(taken, 0);
    worker.postMessage(text);
    answers = Atomics.wait(taken, 0, before, MOST_MILLISECONDS) !== 'timed-out';
  };
}
