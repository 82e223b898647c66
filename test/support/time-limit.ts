import type { Reporter, Vitest } from 'vitest/node';

/** Milliseconds for what runs at the limit to end by itself. */
const GRACE = 12 * 60_000;

/**
 * Ends a run that takes too long, in order: at TESTS_UNTIL, seconds since 1970, no further test
 * begins; after the grace the running ones are stopped. A test that did not run counts as skipped
 * (see ClosingLine).
 */
export function timeLimit({ TESTS_UNTIL }: NodeJS.ProcessEnv): Reporter {
  let ends: NodeJS.Timeout | undefined;
  return {
    onInit(vitest: Vitest) {
      if (TESTS_UNTIL === undefined) return;
      const stop = () => void vitest.cancelCurrentRun('keyboard-input');
      ends = setTimeout(
        () => {
          stop();
          ends = setTimeout(stop, GRACE);
          ends.unref();
        },
        Number(TESTS_UNTIL) * 1000 - Date.now(),
      );
      ends.unref();
    },
    onTestRunEnd() {
      clearTimeout(ends);
    },
  };
}
