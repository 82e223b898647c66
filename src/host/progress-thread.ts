import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/** What the thread is given: the width of the terminal, and a counter of the texts that it has taken. */
export interface ProgressOrders {
  readonly columns: number;
  readonly taken: Int32Array;
}

const AFTER_MILLISECONDS = 500;
const STEP_MILLISECONDS = 100;
const TURNS = '|/-\\';
/** Erase the line (ECMA-48 EL); the cursor stays at its beginning, so that whatever else is said there covers it. */
const ERASE = '\r\x1b[K';

const { columns, taken } = workerData as ProgressOrders;
let text = '';
let since = 0;
let turn = 0;
let drawn = false;

function write(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // A terminal that is gone needs no line.
  }
}

function draw(): void {
  const elapsed = performance.now() - since;
  if (text === '' || elapsed < AFTER_MILLISECONDS) return;
  const line = `${TURNS[turn++ % TURNS.length]} ${text}, ${Math.floor(elapsed / 1000)} s`;
  write(`${ERASE}${line.slice(0, columns - 1)}\r`);
  drawn = true;
}

parentPort?.on('message', (next: string) => {
  if (drawn) write(ERASE);
  drawn = false;
  // The same text again makes room for an answer: what goes on has not begun anew.
  if (next !== text) since = performance.now();
  text = next;
  Atomics.add(taken, 0, 1);
  Atomics.notify(taken, 0);
});
setInterval(draw, STEP_MILLISECONDS);
