import { basename } from 'node:path';
import { KillswitchError } from '../errors.ts';
import { PATHS } from '../host/paths.ts';
import type { Processes } from '../host/processes.ts';

/** Runs a script. @throws KillswitchError NO_BOOT with the script's message. */
export function runScript(
  processes: Processes,
  path: string,
  args: readonly string[],
  milliseconds?: number,
): void {
  const { status, stderr } = processes.run({
    program: 'sh',
    args: [path, ...args],
    ...(milliseconds !== undefined && { milliseconds }),
  });
  if (status !== 0)
    throw new KillswitchError(
      'NO_BOOT',
      `${basename(path)} ${args.join(' ')} failed`,
      'Fix the problem that the lines above name, then run the command again.',
      stderr.trim().split('\n'),
    );
}

/**
 * Takes strategies away with the script `recover`. The ways back live there alone, so that they
 * work without this program.
 * @throws KillswitchError NO_BOOT
 */
export function recoverStrategies(
  processes: Processes,
  names: readonly string[],
  milliseconds?: number,
): void {
  if (names.length > 0)
    runScript(processes, `${PATHS.library}/recover`, ['--boot-off', ...names], milliseconds);
}
