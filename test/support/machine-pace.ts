import { spawnSync } from 'node:child_process';

/** Milliseconds in which Node starts on the machine that the tests were written on. */
const USUAL_START = 25;
/** The pace from which on a machine counts as slow. */
const SLOW = 2.4;

/** Returns how many times as long as usual a start of Node takes here: at least 1. */
export function machinePace(): number {
  const starts = [1, 2, 3].map(() => {
    const since = performance.now();
    spawnSync(process.execPath, ['-e', '0'], { env: {} });
    return performance.now() - since;
  });
  return Math.max(1, Math.min(...starts) / USUAL_START);
}

/**
 * Returns the seconds of a timed state that ends while a test looks on: on a slow machine it must
 * last longer, or it ends before the first look.
 */
export function pacedSeconds(usual: number): number {
  return Math.ceil(usual * Math.min(machinePace(), 5));
}

/**
 * Returns how many files of tests run at once: most tests wait for a process. A slow machine gets
 * fewer, because time limits of the product itself would end what waits too long.
 */
export function filesAtOnce(): number {
  return machinePace() < SLOW ? 5 : 3;
}
