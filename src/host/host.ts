import type { Command, Output } from '../backend/backend.ts';
import type { LogLevel } from '../policy/settings.ts';

/**
 * Every kind of event that is logged: the same word stands in the log file, in the line on stderr
 * and in docs/reference/log.md.
 */
export const LOG_EVENTS = [
  'locked',
  'unlocked',
  'due-locked',
  'due-unlocked',
  'due-went-back',
  'timer',
  'portal-opened',
  'portal-closed',
  'applied',
  'not-locked',
  'offloaded',
  'waiting',
  'unprivileged',
  'value-refused',
  'no-resolver',
  'tunnel-stale',
  'state-refused',
  'left-alone',
  'chained-failed',
  'nftables-service',
  'failed',
  'spelling',
  'resolvers',
  'refreshed',
  'watching',
  'restored',
  'deaf',
  'quota',
] as const;
export type LogEvent = (typeof LOG_EVENTS)[number];

/** One event for the log file, and the same as a line for whoever reads stderr. */
export interface LogEntry {
  readonly level: 'info' | 'warn' | 'error';
  readonly event: LogEvent;
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Who may change a file. */
export interface Owned {
  readonly uid: number;
  readonly mode: number;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
}

/**
 * The only door to the system. Synchronous: OpenVPN waits for a hook anyway, and threads are scarce
 * under its unit's TasksMax.
 */
export interface Host {
  /**
   * Runs a program to its end. A non-zero status is a value; `status` is null when it could not run
   * or was stopped at its time limit.
   */
  run(command: Command): Output;
  /** Whether a program is installed in one of the fixed folders. */
  has(program: string): boolean;
  /**
   * The text of a file that root alone decides about, with every folder above it; undefined when
   * there is none. @throws KillswitchError OWNER when others can change it, FILES when it cannot be
   * read.
   */
  read(path: string): string | undefined;
  /** The same as it is, for text that is not ours. @throws KillswitchError OWNER, FILES */
  readBytes(path: string): Uint8Array | undefined;
  /**
   * Up to a megabyte of a file that anybody may have written: nothing in it is to be believed.
   * Undefined when there is none. @throws KillswitchError OWNER at a link that others than root
   * have set, FILES when it is no regular file.
   */
  readUntrusted(path: string): Uint8Array | undefined;
  /**
   * Names in a folder, whoever's it is; none when there is no such folder.
   * @throws KillswitchError OWNER, FILES
   */
  list(folder: string): readonly string[];
  exists(path: string): boolean;
  /**
   * Whose a file or folder is, and its permissions (the low twelve bits); of a link, the link's
   * own. Undefined when there is none.
   */
  owner(path: string): Owned | undefined;
  /**
   * Where a path leads through root's symbolic links, whether anything is there or not; undefined
   * when nothing has that name.
   */
  place(path: string): string | undefined;
  /**
   * Writes a file of root's so that a reader sees the old text or the new one, and a power cut
   * leaves one of them. Missing folders are made, and mode and owner are exact whatever the umask.
   * @throws KillswitchError OWNER when others can write to a folder above it.
   */
  write(path: string, text: string | Uint8Array, mode?: number): void;
  /**
   * Replaces the text of somebody else's file, or makes one of root's: its owner, mode and place
   * stay, also behind a symbolic link of root's or a bind mount. Nothing outside its folder is
   * touched, whatever its owner does meanwhile.
   */
  rewrite(path: string, text: string | Uint8Array): void;
  /** Removes a file, or a folder with all that is in it. No link is followed. */
  remove(path: string): void;
  /**
   * Runs `work` while no other holder of the same lock runs; only root can hold it. It ends with
   * this process, however that ends.
   */
  exclusively<Result>(work: () => Result): Result;
  /**
   * Asks DNS for the addresses of names, all at once; names without an answer are missing.
   * `servers` are asked instead of the system's resolvers, from the addresses `sources` of ours. It
   * takes `seconds` at most.
   */
  resolve(
    names: readonly string[],
    servers: readonly string[] | undefined,
    seconds: number,
    sources?: readonly string[],
  ): ReadonlyMap<string, readonly string[]>;
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
  /** The addresses of these interfaces, link-local ones left out. */
  ownAddresses(devices: readonly string[]): readonly string[];
  log(entry: LogEntry): void;
  /** Least important level that is logged. */
  logLevel(level: LogLevel): void;
  /** Seconds since 1970. */
  now(): number;
  /** Whether this process may change packet filters (CAP_NET_ADMIN in its network namespace). */
  mayChangeRules(): boolean;
  /** The effective user id of this process: what it writes belongs to that account. */
  uid(): number;
}

/** A program that runs until it is stopped, or ends by itself. */
export interface Listener {
  stop(): void;
}

/**
 * The one asynchronous door, for what runs without an end: starts a program and gives each line of
 * its stdout as it comes. `ended` is called once, with the last that it said on stderr, when it
 * ends without having been stopped or cannot be started.
 */
export type Listen = (
  program: 'nft' | 'ip',
  args: readonly string[],
  line: (text: string) => void,
  ended: (why: string) => void,
) => Listener;
