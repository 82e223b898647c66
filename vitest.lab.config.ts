import { defineConfig } from 'vitest/config';
import { HEAVY } from './test/heavy.ts';

/**
 * The heavy tier: other Debians, other OpenVPNs, and what is heavy of the others. `.ci/lab` builds
 * what it needs.
 */
export default defineConfig({
  test: {
    name: 'lab',
    include: ['test/lab/**/*.test.ts', ...HEAVY],
    pool: 'forks',
    // Most tests wait for a process: more of them than processors.
    maxWorkers: 5,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
