import type { Reporter, TestModule } from 'vitest/node';

/** A message in one line; of a long one its beginning and its end, where the finding stands. */
function short(message: string): string {
  const line = message.trim().replace(/\s*\n\s*/g, ' / ');
  return line.length <= 800 ? line : `${line.slice(0, 200)} … ${line.slice(-600)}`;
}

/** Which test of which file failed, and what it said. */
function failure(file: string, name: string, errors: readonly { message?: string }[]): string {
  return `failed: ${file}: ${name}: ${errors.map(({ message }) => short(message ?? '')).join(' | ')}\n`;
}

/**
 * Ends a run with `N passed, M failed, K skipped`, says of each skipped test why it could not
 * run, and names each failure again: the end of a long log is what a reader sees.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 };
    const failures: string[] = [];
    for (const module of modules) {
      const file = module.relativeModuleId;
      for (const { fullName, errors } of [
        { fullName: 'the file', errors: module.errors() },
        ...[...module.children.allSuites()].map((suite) => ({
          fullName: suite.fullName,
          errors: suite.errors(),
        })),
      ]) {
        counts.failed += errors.length;
        if (errors.length > 0) failures.push(failure(file, fullName, errors));
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') counts.passed++;
        else if (result.state === 'failed') {
          counts.failed++;
          failures.push(failure(file, test.fullName, result.errors));
        } else {
          counts.skipped++;
          process.stdout.write(
            `skipped: ${test.fullName}: ${result.state === 'skipped' ? (result.note ?? 'no reason given') : 'did not run'}\n`,
          );
        }
      }
    }
    process.stdout.write(
      `\n${failures.join('')}${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
    );
  }
}
