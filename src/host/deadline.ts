import { KillswitchError } from '../errors.ts';
import type { LogLevel } from '../policy/settings.ts';
import type { Say } from './log.ts';
import { paceOf } from './pace.ts';

/** A child that takes longer is stopped. */
export const CHILD_MILLISECONDS = 10_000;

/**
 * Milliseconds of a clock that nobody sets. `performance` says the same, but the first use of it
 * loads a module.
 */
export function monotonic(): number {
  return process.uptime() * 1000;
}

/** Limits of one run. */
export interface Limits {
  /** Who is running, for the log: a hook's or a command's name. */
  readonly name: string;
  /**
   * Milliseconds the whole process may take on a usual machine; see `paceOf`. OpenVPN stands still
   * while a hook runs.
   */
  readonly milliseconds: number;
  /** Least important level of what is said on stderr. */
  readonly shown: LogLevel;
  /** Says one line on stderr; without it the line goes there as it is. */
  readonly say?: Say;
}

/** Until when this process may run, in milliseconds. */
export interface Deadline {
  /** How many times as long as usual everything may take; see `paceOf`. */
  readonly pace: number;
  /** How long it waits for its turn at the lock. */
  readonly turn: number;
  /**
   * What is left, in whole milliseconds, and `most` of it; without it as much as a child gets.
   * @throws KillswitchError DEADLINE when nothing is left.
   */
  timeLeft(most?: number): number;
  /** Moves it: by what somebody else has used up. */
  extend(milliseconds: number): void;
}

export function deadlineOf({
  name,
  milliseconds,
}: Pick<Limits, 'name' | 'milliseconds'>): Deadline {
  const pace = paceOf(monotonic());
  const limit = milliseconds * pace;
  let deadline = monotonic() + limit;
  return {
    pace,
    // What runs without an end waits for its turn no longer than for a child.
    turn: Number.isFinite(limit) ? limit : CHILD_MILLISECONDS * pace,
    timeLeft: (most = CHILD_MILLISECONDS * pace) => {
      const left = deadline - monotonic();
      if (left < 1)
        throw new KillswitchError(
          'DEADLINE',
          `${name} took longer than ${Math.round(limit / 1000)} s`,
          'Look for a program that holds the firewall: run "ovpn-killswitch status".',
        );
      // node:child_process takes whole milliseconds alone.
      return Math.floor(Math.min(most, left));
    },
    extend: (more) => {
      deadline += more;
    },
  };
}
