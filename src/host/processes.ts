import type { Command, Output } from './command.ts';

/** The door to programs, and to what this process may do. */
export interface Processes {
  /**
   * Runs a program to its end. A non-zero status is a value; `status` is null when it could not run
   * or was stopped at its time limit.
   */
  run(command: Command): Output;
  /** Whether a program is installed in one of the fixed folders. */
  has(program: string): boolean;
  /**
   * Runs `work` while no other holder of the same lock runs; only root can hold it. It ends with
   * this process, however that ends.
   */
  exclusively<Result>(work: () => Result): Result;
  /**
   * Runs a command in our place: it gets this environment and nothing else, our open files and
   * folder, and the time it needs. Its exit status, as a shell gives it: 128 and more after a
   * signal, 127 when it is not there, 126 when it cannot be run; then `why` says so. `account` is
   * the number of the user and of the one group that it runs as; without it, ours.
   */
  callInTurn(
    command: readonly string[],
    env: Readonly<Record<string, string | undefined>>,
    account?: number,
  ): { readonly status: number; readonly why?: string };
  /** Starts a program of ours that runs when this process has ended, and leaves it. */
  startAfterwards(path: string, args: readonly string[]): void;
  /**
   * Starts a program of ours in so many seconds, whatever becomes of this process, its terminal and
   * its session.
   */
  startIn(seconds: number, path: string, args: readonly string[]): void;
  /** Whether this process may change packet filters (CAP_NET_ADMIN in its network namespace). */
  mayChangeRules(): boolean;
  /** The effective user id of this process: what it writes belongs to that account. */
  uid(): number;
}
