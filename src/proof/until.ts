import { setTimeout as pause } from 'node:timers/promises';

const STEP_MILLISECONDS = 10;

/**
 * Waits until a condition holds, asking again and again.
 * @throws Error that says what was waited for, when it does not hold within `milliseconds`.
 */
export async function until(what: string | (() => string), holds: () => boolean | Promise<boolean>, milliseconds = 10_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${milliseconds / 1000} s in vain for ${typeof what === 'string' ? what : what()}`);
    await pause(STEP_MILLISECONDS);
  }
}
