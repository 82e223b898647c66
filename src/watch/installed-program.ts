import { createHash } from 'node:crypto';
import { orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';

/** The program of the command, which the service runs. */
const PROGRAM = `${PATHS.library}/cli.js`;
/** The interpreter in the first line of an installed program, before its flag. */
const INTERPRETER = /^#!.*?(\/\S+) --/;

/**
 * Identifies the installed program and its Node: the digest of the program, with the size and time
 * of the interpreter that its first line names. Undefined where none is installed, or it cannot be
 * read.
 */
export function installedProgram(host: Host): string | undefined {
  const bytes = orElse(
    () => host.readBytes(PROGRAM),
    () => undefined,
  );
  if (bytes === undefined) return undefined;
  const [, node = ''] = INTERPRETER.exec(Buffer.from(bytes.subarray(0, 500)).toString()) ?? [];
  const { stdout } = host.run({ program: 'stat', args: ['-Lc', '%s %Y', node] });
  return createHash('sha256').update(bytes).update(stdout).digest('hex');
}
