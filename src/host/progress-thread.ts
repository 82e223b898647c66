import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import {
  ERASE_LINE,
  freeTerminal,
  monotonicMilliseconds,
  TERMINAL,
  takeTerminal,
} from './terminal-lock.ts';

/**
 * The thread's input: the width of the terminal, and the words that it shares with the program
 * (TERMINAL).
 */
export interface ProgressOrders {
  readonly columns: number;
  readonly shared: Int32Array;
}

/** The work that goes on; an empty text draws nothing. */
export interface ProgressText {
  readonly text: string;
  /** Its start, by monotonicMilliseconds. */
  readonly since: number;
  /** Its number; drawn only while TERMINAL.current still has this number. */
  readonly number: number;
}

const AFTER_MILLISECONDS = 500;
const STEP_MILLISECONDS = 100;
const TURNS = '|/-\\';

const { columns, shared } = workerData as ProgressOrders;
let now: ProgressText = { text: '', since: 0, number: 0 };
let turn = 0;

function draw(): void {
  const elapsed = monotonicMilliseconds() - now.since;
  if (now.text === '' || elapsed < AFTER_MILLISECONDS) return;
  takeTerminal(shared);
  try {
    // Checked while this thread holds the terminal: the program may have answered since.
    if (Atomics.load(shared, TERMINAL.current) !== now.number) return;
    const line = `${TURNS[turn++ % TURNS.length]} ${now.text}, ${Math.floor(elapsed / 1000)} s`;
    writeSync(2, `${ERASE_LINE}${line.slice(0, columns - 1)}\r`);
    Atomics.store(shared, TERMINAL.drawn, 1);
  } catch {
    // A closed terminal needs no line.
  } finally {
    freeTerminal(shared);
  }
}

parentPort?.on('message', (next: ProgressText) => {
  now = next;
});
setInterval(draw, STEP_MILLISECONDS);
