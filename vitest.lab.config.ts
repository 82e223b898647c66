import { defineConfig } from 'vitest/config';
import { HEAVY } from './test/heavy.ts';
import { LongestFirst } from './test/support/longest-first.ts';

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
    sequence: { sequencer: LongestFirst },
    // Not a measure of speed: under load a test may take ten times as long.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
