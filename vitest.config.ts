import { defineConfig } from 'vitest/config';

/** One project for each tier, lightest first; `lab` is heavy and runs only when it is named. */
const tiers = ['unit', 'text', 'kernel', 'hooks', 'e2e', 'regressions'] as const;

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 3,
    reporters: ['default', './test/support/closing-line.ts'],
    projects: tiers.map((name) => ({
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout: name === 'unit' ? 20_000 : 120_000,
        hookTimeout: 60_000,
      },
    })),
  },
});
