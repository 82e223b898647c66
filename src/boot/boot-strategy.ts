import type { Command } from '../host/command.ts';
import type { readBaseTexts } from '../record/base-texts.ts';

/**
 * Ways to load the base rules at boot; `plain` stands for a line that the machine's owner writes.
 */
export const STRATEGY_NAMES = [
  'systemd',
  'openrc',
  'netfilter-persistent',
  'sysconfig',
  'plain',
] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

/** The facts that a strategy may look at. */
export interface BootMachine {
  read(path: string): string | undefined;
  exists(path: string): boolean;
  /** The names in a folder; none when there is no such folder. */
  list(path: string): readonly string[];
  /** Whether the machine boots locked: `lock` was the last command. */
  readonly locked: boolean;
  readonly base: ReturnType<typeof readBaseTexts>;
}

export interface BootFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** A file with another owner: taking the strategy away restores its content. */
  readonly shared?: boolean;
}

/** The files, commands and links that make the machine load the base rules, as text and values. */
export interface BootPlan {
  readonly files: readonly BootFile[];
  /** Run once the files are written. */
  readonly commands: readonly Command[];
  /** Links that the commands leave. */
  readonly links: readonly string[];
  /** Notes that the machine's owner must know or act on, one line each. */
  readonly notes: readonly string[];
}

/**
 * One way to load the base rules at boot. Pure: effects are in enable.ts, and the script `recover`
 * takes it back.
 */
export interface BootStrategy {
  readonly name: StrategyName;
  /** The name of the loader, to go after "loaded at boot by". */
  readonly loader: string;
  /** @throws KillswitchError NO_BOOT when this machine's rules cannot be loaded like that. */
  plan(machine: BootMachine): BootPlan;
}
