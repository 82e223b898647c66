import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds between two looks. Looks that start a process come farther and farther apart. */
const [FIRST_STEP, LAST_STEP] = [10, 200];

let patience = 1;

/** Multiplies the timeout of every later wait: for a machine that is slow as a whole. */
export function setPatience(times: number): void {
  patience = times;
}

/** Scales milliseconds to this machine's speed. */
export function patiently(milliseconds: number): number {
  return milliseconds * patience;
}

/**
 * Polls until a condition holds.
 * @throws Error that names the condition, when it does not hold within `milliseconds` times the
 * patience.
 */
export async function waitUntil(
  what: string | (() => string),
  holds: () => boolean | Promise<boolean>,
  milliseconds = 30_000,
): Promise<void> {
  const longest = patiently(milliseconds);
  const end = performance.now() + longest;
  for (let step: number = FIRST_STEP; ; ) {
    const look = holds();
    if (await look) return;
    if (performance.now() > end)
      throw new Error(
        `waited ${longest / 1000} s in vain for ${typeof what === 'string' ? what : what()}`,
      );
    await pause(step);
    if (typeof look !== 'boolean') step = Math.min(step * 1.5, LAST_STEP);
  }
}
