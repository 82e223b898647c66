import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runVm, type VmRoot, type VmRun, vmObstacle } from '../support/vm.ts';
import { WORDS } from './vm-boot-scenes.ts';
import { EVERY, type Played } from './vm-scene.ts';
import { scenesOf } from './vm-scenes.ts';

/** Whether every scene is played; see docs/reference/compatibility.md. */
const every = process.env['OVPN_KILLSWITCH_SCENES'] === EVERY;
/** The longest that one machine may take, in seconds: on a machine that does much else as well. */
const LONGEST = every ? 5400 : 1500;

let folder: string | undefined;
let program: string;

function playedIn(report: string): readonly Played[] {
  return report
    .split('\n')
    .flatMap((line) =>
      line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as Played] : [],
    );
}

/**
 * Boots these kernels one after the other, and tests what each has played. Two files do so at the
 * same time: a machine takes little more than one processor.
 */
export function kernelsWith(roots: readonly VmRoot[]): void {
  /** Everything that a machine plays in one file, with the words of vitest and without it. */
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'vm-program-'));
    program = join(folder, 'program.mjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'vm-program.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: program,
      logLevel: 'error',
      alias: { vitest: join(import.meta.dirname, 'vm-expect.ts') },
    });
  });
  afterAll(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  describe.each(roots)('%s', (root) => {
    const obstacle = vmObstacle(root);
    let run: VmRun | Error | undefined;
    let played: readonly Played[] = [];

    beforeAll(
      async () => {
        if (obstacle !== undefined) return;
        try {
          run = await runVm({
            root,
            program,
            args: every ? [root, EVERY] : [root],
            seconds: LONGEST,
            onReport: (report) => {
              played = playedIn(report);
            },
          });
          const told = played.flatMap((each) => [
            `${each.seconds.toFixed(0)} s for "${each.name}"`,
            ...(each.told === undefined ? [] : [each.told]),
          ]);
          process.stdout.write(
            `${[`${root}: ${run.seconds.toFixed(0)} s in all`, ...told].join('\n  ')}\n`,
          );
        } catch (thrown) {
          run = thrown instanceof Error ? thrown : new Error(String(thrown));
        }
      },
      (LONGEST + 60) * 1000,
    );

    test.for(scenesOf(root, every))('$name', (scene, context) => {
      if (obstacle !== undefined) context.skip(obstacle);
      const of = played.find(({ name }) => name === scene.name);
      // A result that a machine printed before it failed holds.
      if (of === undefined)
        throw run instanceof Error
          ? run
          : new Error(`${root} did not play this; its console:\n${run?.console ?? ''}`);
      expect(of.failure ?? '').toBe('');
    });

    test('of all that its card sent, nothing was heard between lock and unlock, from before the boot on', (context) => {
      if (obstacle !== undefined) context.skip(obstacle);
      if (!(run !== undefined && 'frames' in run)) throw run ?? new Error('it was not booted');
      const { frames } = run;
      const heard = Object.entries(WORDS).flatMap(([when, word]) =>
        frames.includes(word) ? [when] : [],
      );
      expect(heard).toEqual(['open', 'after']);
    });
  });
}
