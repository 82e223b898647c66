import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends a run with `N passed, M failed, K skipped`, and says of each skipped test why it could not
 * run.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed += module.errors().length;
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') counts.passed++;
        else if (result.state === 'failed') counts.failed++;
        else {
          counts.skipped++;
          process.stdout.write(
            `skipped: ${test.fullName}: ${result.state === 'skipped' ? (result.note ?? 'no reason given') : 'did not run'}\n`,
          );
        }
      }
    }
    process.stdout.write(
      `\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
    );
  }
}
