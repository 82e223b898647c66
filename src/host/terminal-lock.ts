/** Erases the line (ECMA-48 EL). The cursor stays at its beginning. */
export const ERASE_LINE = '\r\x1b[K';

/**
 * Words that the program and its progress thread share: the writer, whether a progress line is
 * drawn, and the current text.
 */
export const TERMINAL = { writer: 0, drawn: 1, current: 2 } as const;

/** Bytes of the words in TERMINAL. */
export const TERMINAL_BYTES = 12;

/**
 * Waits until no other thread writes to the terminal. The holder's write may block, but the
 * caller's own write would block as well.
 */
export function takeTerminal(shared: Int32Array): void {
  while (Atomics.compareExchange(shared, TERMINAL.writer, 0, 1) !== 0)
    Atomics.wait(shared, TERMINAL.writer, 1);
}

export function freeTerminal(shared: Int32Array): void {
  Atomics.store(shared, TERMINAL.writer, 0);
  Atomics.notify(shared, TERMINAL.writer);
}

/** Returns milliseconds of a clock that no program sets, the same for all threads. */
export function monotonicMilliseconds(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
