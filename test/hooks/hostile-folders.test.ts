import { copyFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openSandbox } from '../../src/host/sandbox.ts';
import { sandboxProgram } from '../support/sandbox-program.ts';
import { machineObstacle } from './installed-machine.ts';

/** As many as fit into some 20 s; 10,000 with DOOR_ARRANGEMENTS=10000. */
const ARRANGEMENTS = Number(process.env['DOOR_ARRANGEMENTS'] ?? 1000);

interface Summary {
  readonly arrangements: number;
  readonly seconds: number;
  readonly slowest: { readonly seconds: number; readonly what: string };
  readonly calls: number;
  readonly refused: number;
  readonly done: number;
  readonly faults: readonly string[];
}

test(`in ${ARRANGEMENTS} hostile arrangements of every path that root opens, nothing outside is read, written or given away, and nothing hangs`, {
  timeout: 3_600_000,
}, async (context) => {
  const why = machineObstacle();
  if (why !== undefined) context.skip(why);
  const program = await sandboxProgram('hostile-folders');
  const swapper = join(dirname(program), 'hostile-swapper.mjs');
  copyFileSync(fileURLToPath(new URL('../support/hostile-swapper.mjs', import.meta.url)), swapper);
  const sandbox = await openSandbox();
  try {
    if (!sandbox.hasOtherUsers) context.skip('there is no other user here');
    const { status, stdout, stderr } = await sandbox.ask(
      [process.execPath, program, String(ARRANGEMENTS), swapper],
      {
        milliseconds: 3_600_000,
      },
    );
    expect(status, stderr).toBe(0);
    const summary = JSON.parse(stdout) as Summary;
    process.stdout.write(`${JSON.stringify({ ...summary, faults: summary.faults.length })}\n`);
    expect(summary.faults).toEqual([]);
    expect(summary.slowest.seconds, summary.slowest.what).toBeLessThan(5);
    // It did both: what is safe was done, and what is not was refused.
    expect(summary.done).toBeGreaterThan(ARRANGEMENTS);
    expect(summary.refused).toBeGreaterThan(ARRANGEMENTS / 2);
  } finally {
    sandbox.close();
    rmSync(dirname(program), { recursive: true, force: true });
  }
});
