import { defineConfig } from 'vitest/config';
import { HEAVY } from './test/heavy.ts';
import { LongestFirst } from './test/support/longest-first.ts';
import { filesAtOnce } from './test/support/machine-pace.ts';
import { TEST_MILLISECONDS } from './test/support/test-milliseconds.ts';
import { timeLimit } from './test/support/time-limit.ts';

/**
 * The heavy tier: other Debians, other OpenVPNs, and what is heavy of the others. `.ci/lab` builds
 * what it needs.
 */
export default defineConfig({
  test: {
    name: 'lab',
    include: ['test/lab/**/*.test.ts', ...HEAVY],
    pool: 'forks',
    maxWorkers: filesAtOnce(),
    sequence: { sequencer: LongestFirst },
    setupFiles: ['test/support/patience.ts'],
    testTimeout: TEST_MILLISECONDS,
    hookTimeout: TEST_MILLISECONDS,
    reporters: ['default', './test/support/closing-line.ts', timeLimit(process.env)],
  },
});
