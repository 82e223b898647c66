import { KillswitchError } from '../errors.ts';
import type { LogLevel } from '../policy/settings.ts';
import type { Say } from './log.ts';
import { paceOf } from './pace.ts';

/** Time limit of a child. */
export const CHILD_MILLISECONDS = 10_000;

/**
 * Returns milliseconds of a clock that no program sets. `performance` does the same, but its first
 * use loads a module.
 */
export function monotonic(): number {
  return process.uptime() * 1000;
}

/** Limits of one run. */
export interface Limits {
  /** The hook's or command's name, for the log. */
  readonly name: string;
  /**
   * Milliseconds that the whole process may take on a usual machine; see `paceOf`. OpenVPN stands
   * still while a hook runs.
   */
  readonly milliseconds: number;
  /** Least important level that is printed on stderr. */
  readonly shown: LogLevel;
  /** Prints one line on stderr; by default unchanged. */
  readonly say?: Say;
}

/** Until when this process may run, in milliseconds. */
export interface Deadline {
  /** How many times as long as usual everything may take; see `paceOf`. */
  readonly pace: number;
  /** How long it waits for its turn at the lock. */
  readonly turn: number;
  /**
   * Returns the whole milliseconds that are left, at most `most`; without it as many as a child
   * gets.
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
    // A program without a deadline waits for its turn no longer than for a child.
    turn: Number.isFinite(limit) ? limit : CHILD_MILLISECONDS * pace,
    timeLeft: (most = CHILD_MILLISECONDS * pace) => {
      const left = deadline - monotonic();
      if (left < 1)
        throw new KillswitchError(
          'DEADLINE',
          `${name} took longer than ${Math.round(limit / 1000)} s`,
          'Run "ovpn-killswitch doctor": it names programs that change the firewall.',
        );
      // node:child_process takes only whole milliseconds.
      return Math.floor(Math.min(most, left));
    },
    extend: (more) => {
      deadline += more;
    },
  };
}
