import type { Command } from '../host/command.ts';
import type { readBaseTexts } from '../record/base-texts.ts';

/**
 * Ways to have the base rules loaded at boot; `plain` stands for a line that the machine's owner
 * writes.
 */
export const STRATEGY_NAMES = [
  'systemd',
  'openrc',
  'netfilter-persistent',
  'sysconfig',
  'plain',
] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

/** What a strategy may look at. */
export interface BootMachine {
  read(path: string): string | undefined;
  exists(path: string): boolean;
  /** The names in a folder; none when there is no such folder. */
  list(path: string): readonly string[];
  /** Whether the last word was `lock`. */
  readonly locked: boolean;
  readonly base: ReturnType<typeof readBaseTexts>;
}

export interface BootFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** Somebody else's file: it is what it was again when the strategy is taken away. */
  readonly shared?: boolean;
}

/** What makes the machine load the base rules, as text and values. */
export interface BootPlan {
  readonly files: readonly BootFile[];
  /** Run when the files are there. */
  readonly commands: readonly Command[];
  /** What the commands leave. */
  readonly links: readonly string[];
  /** What its owner has to know or to do, one line each. */
  readonly notes: readonly string[];
}

/**
 * One way to have the base rules loaded at boot. Pure: effects are in enable.ts, and the way back
 * in the script `recover`.
 */
export interface BootStrategy {
  readonly name: StrategyName;
  /** What loads the rules, to go after "loaded at boot by". */
  readonly loader: string;
  /** @throws KillswitchError NO_BOOT when this machine's rules cannot be loaded like that. */
  plan(machine: BootMachine): BootPlan;
}
