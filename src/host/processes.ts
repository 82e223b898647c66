import type { Command, Output } from './command.ts';

/** The door to programs, and to this process's privileges. */
export interface Processes {
  /**
   * Runs a program to its end. A non-zero status is a value; `status` is null when it could not run
   * or was stopped at its time limit.
   */
  run(command: Command): Output;
  /** Whether a program is installed in one of the fixed folders. */
  has(program: string): boolean;
  /**
   * Runs `work` while no other holder of the same lock runs. Only root can hold it, and it ends
   * with this process in any case.
   */
  exclusively<Result>(work: () => Result): Result;
  /**
   * Runs a command in our place, with only this environment, our open files and folder, and all the
   * time it needs. Returns its exit status as a shell does: 128 and more after a signal. 127 means
   * that it is missing, 126 that it cannot be run; then `why` says so. `account` is the number of
   * the user, and of the one group, that it runs as; by default ours.
   */
  callInTurn(
    command: readonly string[],
    env: Readonly<Record<string, string | undefined>>,
    account?: number,
  ): { readonly status: number; readonly why?: string };
  /** Starts a program of ours that runs once this process has ended. Does not wait for it. */
  startAfterwards(path: string, args: readonly string[]): void;
  /**
   * Starts a program of ours in so many seconds, even if this process, its terminal and its session
   * end before.
   */
  startIn(seconds: number, path: string, args: readonly string[]): void;
  /** Whether this process may change packet filters (CAP_NET_ADMIN in its network namespace). */
  mayChangeRules(): boolean;
  /** Returns the effective user id of this process: its files belong to that account. */
  uid(): number;
}
