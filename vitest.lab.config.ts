import { defineConfig } from 'vitest/config';

/** The heavy tier: other Debians, other OpenVPNs. `.ci/lab` builds what it needs. */
export default defineConfig({
  test: {
    name: 'lab',
    include: ['test/lab/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
