import type { LogLevel } from '../policy/settings.ts';

/**
 * Every kind of logged event: the same word is in the log file, in the line on stderr and in
 * docs/reference/log.md.
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

/** One event for the log file, and the same as a line on stderr. */
export interface LogEntry {
  readonly level: 'info' | 'warn' | 'error';
  readonly event: LogEvent;
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** The door to the log. */
export interface Journal {
  log(entry: LogEntry): void;
  /** Least important level that is logged. */
  logLevel(level: LogLevel): void;
}
