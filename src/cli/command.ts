import type { ExitStatus } from '../errors.ts';
import type { Asker } from '../host/ask-terminal.ts';
import type { Host } from '../host/host.ts';
import type { Screen } from './screen.ts';

/** What a command works with. */
export interface Context {
  readonly host: Host;
  /** What the caller's environment has, for a command that runs something of the caller's. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Arguments after the command's name. */
  readonly args: readonly string[];
  /**
   * One line of the answer for people, on stdout: it fits the screen, and what a terminal would act
   * on is escaped.
   */
  print(line: string): void;
  /**
   * Text for programs and files, on stdout: of any width. What a terminal would act on is escaped
   * but for tabs.
   */
  printExactly(text: string): void;
  /** What `drawn` made, control sequences of our own included. */
  draw(text: string): void;
  /** Says what takes its time from now on: on a terminal, once it has taken half a second. */
  progress(text: string): void;
  /** Asks the person at the terminal. Before `progress`: two cannot write there. */
  readonly ask: Asker;
  /** Every command of the program. */
  readonly commands: readonly CliCommand[];
  readonly screen: Screen;
  /** Whether the reader of stdout has gone. */
  nobodyReads(): boolean;
}

/** A flag of a command: as parseArgs of Node takes it, and as people are told of it. */
export interface Flag {
  readonly type: 'boolean' | 'string';
  readonly multiple?: true;
  /** What stands for its value in the usage: TIME. */
  readonly value?: string;
  /** All the values that it takes. */
  readonly choices?: readonly string[];
  /** What it does, without a subject: "show the change and write nothing". */
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
  look: 'See what is so',
  trouble: 'When something is wrong',
  internal: 'For other programs',
} as const;
export type Group = keyof typeof GROUPS;

/** One command of the program. */
export interface CliCommand {
  readonly name: string;
  /** How it is called, without the program's name. */
  readonly usage: string;
  readonly group: Group;
  /** What it does, in some words that fit a line of 80 columns beside its name. */
  readonly brief: string;
  /** What it does, in one sentence. */
  readonly summary: string;
  /** Its flags, without their dashes. */
  readonly flags: Flags;
  /** What may stand after its name, by place. */
  readonly words: readonly Word[];
  /** What its exit statuses mean beyond what they mean of every command. */
  readonly exits?: readonly (readonly [status: ExitStatus, meaning: string])[];
  /** Calls to show, each with what it does. */
  readonly examples: readonly (readonly [call: string, what: string])[];
  /**
   * Whether it changes packet filters or files of the system. `account`: root's account will do,
   * also without CAP_NET_ADMIN.
   */
  readonly needsRoot: boolean | 'account';
  /**
   * Whether a call may last as long as it likes: until it is interrupted, or as long as its steps
   * take. Without it every call has an end.
   */
  endless?(args: readonly string[]): boolean;
  run(context: Context): ExitStatus | Promise<ExitStatus>;
}
