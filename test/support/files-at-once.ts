import { spawnSync } from 'node:child_process';

/** Milliseconds in which Node starts on a machine that bears more files than processors. */
const QUICK_START = 60;

/**
 * Returns how many files of tests run at once: most tests wait for a process. A slow machine gets
 * fewer, because time limits of the product itself would end what waits too long.
 */
export function filesAtOnce(): number {
  const starts = [1, 2, 3].map(() => {
    const since = performance.now();
    spawnSync(process.execPath, ['-e', '0'], { env: {} });
    return performance.now() - since;
  });
  return Math.min(...starts) < QUICK_START ? 5 : 3;
}
