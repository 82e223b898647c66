import type { ExitStatus } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Screen } from './screen.ts';

/** What a command works with. */
export interface Context {
  readonly host: Host;
  /** What the caller's environment has, for a command that runs something of the caller's. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Arguments after the command's name. */
  readonly args: readonly string[];
  /** One line of the answer for people, on stdout: it fits the screen, and what a terminal would act on is escaped. */
  print(line: string): void;
  /** Text for programs and files, on stdout: of any width. What a terminal would act on is escaped but for tabs. */
  printExactly(text: string): void;
  /** What `drawn` made, control sequences of our own included. */
  draw(text: string): void;
  /** Says what takes its time from now on: on a terminal, once it has taken half a second. */
  progress(text: string): void;
  /** Every command of the program. */
  readonly commands: readonly CliCommand[];
  readonly screen: Screen;
  /** Whether the reader of stdout has gone. */
  nobodyReads(): boolean;
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
  /** Whether it changes packet filters or files of the system. `account`: root's account will do, also without CAP_NET_ADMIN. */
  readonly needsRoot: boolean | 'account';
  /** Whether a call may last as long as it likes: until it is interrupted, or as long as its steps take. Without it every call has an end. */
  endless?(args: readonly string[]): boolean;
  run(context: Context): ExitStatus | Promise<ExitStatus>;
}
