import { defineConfig } from 'vitest/config';
import { HEAVY } from './test/heavy.ts';
import { filesAtOnce } from './test/support/machine-pace.ts';
import { TEST_MILLISECONDS } from './test/support/test-milliseconds.ts';
import { timeLimit } from './test/support/time-limit.ts';

/** One project for each tier, lightest first; `lab` is heavy and runs only when it is named. */
const tiers = ['unit', 'text', 'kernel', 'hooks', 'e2e', 'regressions'] as const;

/** A file that is named is run, heavy or not. */
const isNamed = process.argv.some((argument) => HEAVY.includes(argument));

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: filesAtOnce(),
    reporters: ['default', './test/support/closing-line.ts', timeLimit(process.env)],
    projects: tiers.map((name) => ({
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        exclude: isNamed ? [] : [...HEAVY],
        // Pure code keeps no state that another file could meet.
        isolate: name !== 'unit' && name !== 'text',
        setupFiles: ['test/support/patience.ts'],
        testTimeout: TEST_MILLISECONDS,
        hookTimeout: TEST_MILLISECONDS,
      },
    })),
  },
});
