import type { ExitStatus } from '../errors.ts';
import type { Asker } from '../host/ask-terminal.ts';
import type { Host } from '../host/host.ts';
import type { Report } from './answer.ts';
import type { Screen } from './screen.ts';

/** The tools and facts that a command works with. */
export interface Context {
  readonly host: Host;
  /** The caller's environment, for a command that runs a program of the caller's. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Arguments after the command's name. */
  readonly args: readonly string[];
  /**
   * Prints one line of the answer for people, on stdout. Fits it to the screen, and escapes
   * characters that a terminal would act on.
   */
  print(line: string): void;
  /**
   * Prints text for programs and files, on stdout, in any width. Escapes characters that a terminal
   * would act on, except tabs.
   */
  printExactly(text: string): void;
  /** Prints the output of `drawn`, this product's own control sequences included. */
  draw(text: string): void;
  /** Names the work that takes time from now on: a terminal shows it after half a second. */
  progress(text: string): void;
  /** Asks the person at the terminal. Call before `progress`: two cannot write there. */
  readonly ask: Asker;
  /** Every command of the program. */
  readonly commands: readonly CliCommand[];
  readonly screen: Screen;
  /** How the command reports for `--json`. */
  readonly report: Report;
  /** Tells whether the reader of stdout has gone. */
  nobodyReads(): boolean;
}

/** A flag of a command: for Node's parseArgs, and as the help describes it. */
export interface Flag {
  readonly type: 'boolean' | 'string';
  readonly multiple?: true;
  /** The placeholder of its value in the usage: TIME. */
  readonly value?: string;
  /** All the values that it accepts. */
  readonly choices?: readonly string[];
  /** Its effect, without a subject: "show the change and write nothing". */
  readonly what: string;
}
export type Flags = Readonly<Record<string, Flag>>;

/** A word after a command's name, by its place. */
export interface Word {
  readonly name: string;
  readonly what: string;
  readonly choices?: readonly string[];
  /** It is the path of a file. */
  readonly isFile?: true;
}

/**
 * The commands in groups of the help, in its order. Those of `internal` are for timers and shells.
 */
export const GROUPS = {
  setup: 'Set up',
  daily: 'Every day',
  look: 'Look and test',
  trouble: 'When something is wrong',
  internal: 'For other programs',
} as const;
export type Group = keyof typeof GROUPS;

/** One command of the program. */
export interface CliCommand {
  readonly name: string;
  /** Its usage, without the program's name. */
  readonly usage: string;
  readonly group: Group;
  /** Its purpose, short enough for a line of 80 columns beside its name. */
  readonly brief: string;
  /** Its purpose, in one sentence. */
  readonly summary: string;
  /** Its flags, without their dashes. */
  readonly flags: Flags;
  /** The words after its name, by place. */
  readonly words: readonly Word[];
  /** Meanings of its exit statuses beyond those that every command shares. */
  readonly exits?: readonly (readonly [status: ExitStatus, meaning: string])[];
  /** Example calls, each with its effect. */
  readonly examples: readonly (readonly [call: string, what: string])[];
  /**
   * Whether it changes packet filters or files of the system. With `account`, root's account is
   * enough, also without CAP_NET_ADMIN.
   */
  readonly needsRoot: boolean | 'account';
  /**
   * Tells whether a call may last without limit: until it is interrupted, or as long as its steps
   * take. Without it every call has a deadline.
   */
  endless?(args: readonly string[]): boolean;
  run(context: Context): ExitStatus | Promise<ExitStatus>;
}
