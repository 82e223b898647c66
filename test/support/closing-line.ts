import type { Reporter, TestCase, TestModule, TestRunEndReason } from 'vitest/node';

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
 * run, and names each failure again: the end of a long log is what a reader sees. Tests that an
 * ended run left out are counted as skipped, file by file.
 */
export default class ClosingLine implements Reporter {
  /** Says at once why a test has failed: the rest of a run may take an hour. */
  onTestCaseResult(test: TestCase): void {
    const { state, errors = [] } = test.result();
    if (state === 'failed')
      process.stdout.write(`now ${failure(test.module.relativeModuleId, test.fullName, errors)}`);
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly unknown[],
    reason: TestRunEndReason,
  ): void {
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
      const tests = [...module.children.allTests()];
      let notRun = tests.length === 0 && module.errors().length === 0 ? 1 : 0;
      for (const test of tests) {
        const result = test.result();
        if (result.state === 'passed') counts.passed++;
        else if (result.state === 'failed') {
          counts.failed++;
          failures.push(failure(file, test.fullName, result.errors));
        } else if (result.state === 'pending' || reason === 'interrupted') notRun++;
        else {
          counts.skipped++;
          process.stdout.write(`skipped: ${test.fullName}: ${result.note ?? 'no reason given'}\n`);
        }
      }
      counts.skipped += notRun;
      if (notRun > 0)
        process.stdout.write(`skipped: ${file}: ${notRun} not run, because the run was ended\n`);
    }
    process.stdout.write(
      `\n${failures.join('')}${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
    );
    // To vitest an ended run has failed; what has failed is counted here.
    if (reason === 'interrupted' && counts.failed === 0) process.exitCode = 0;
  }
}
