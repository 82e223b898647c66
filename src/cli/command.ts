import type { ExitStatus } from '../errors.ts';
import type { Host } from '../host/host.ts';

/** What a command works with. */
export interface Context {
  readonly host: Host;
  /** Arguments after the command's name. */
  readonly args: readonly string[];
  /** One line of the answer, on stdout. */
  print(line: string): void;
}

/** One command of the program. */
export interface CliCommand {
  readonly name: string;
  /** How it is called, without the program's name. */
  readonly usage: string;
  /** What it does, in one sentence. */
  readonly summary: string;
  /** Calls to show, each with what it does. */
  readonly examples: readonly (readonly [call: string, what: string])[];
  /** Whether it changes packet filters or files of the system. */
  readonly needsRoot: boolean;
  run(context: Context): ExitStatus;
}
