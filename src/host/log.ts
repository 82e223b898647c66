import { closeSync, openSync } from 'node:fs';
import pino from 'pino';
import type { LogLevel } from '../policy/settings.ts';
import type { LogEntry } from './host.ts';
import { PATHS } from './paths.ts';

/** Writes entries to the log file as JSON lines and to stderr as text; without a writable log file, to stderr alone. */
export interface Log {
  write(entry: LogEntry): void;
  level(level: LogLevel): void;
}

const RANK: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, silent: 60 };

function writable(path: string): boolean {
  try {
    closeSync(openSync(path, 'a', 0o640));
    return true;
  } catch {
    return false;
  }
}

/** `shown` is the least important level that also goes to stderr: a command answers on stdout already. */
export function openLog(name: string, shown: LogLevel, path: string = PATHS.log): Log {
  const destination = writable(path) ? pino.destination({ dest: path, sync: true, append: true }) : undefined;
  // A full disk under the log and a reader of stderr that is gone are no reason to fail: `down` would end a reconnect. An entry that cannot be
  // written is lost.
  destination?.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const logger =
    destination === undefined
      ? undefined
      : pino({ base: { name, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  let least: LogLevel = 'info';
  return {
    write({ level, event, message, fields }) {
      logger?.[level]({ event, ...fields }, message);
      if (RANK[level] < Math.max(RANK[least], RANK[shown])) return;
      try {
        process.stderr.write(`ovpn-killswitch: ${name}: ${message}\n`);
      } catch {
        // OpenVPN under --daemon without a log gives hooks a stderr that may be closed; the log file has the entry.
      }
    },
    level(level) {
      least = level;
      if (logger !== undefined) logger.level = level;
    },
  };
}
