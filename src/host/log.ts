import { writeSync } from 'node:fs';
import pino from 'pino/browser.js';
import { visibleLine } from '../net/visible.ts';
import type { LogLevel } from '../policy/settings.ts';
import { openLogDoor } from './log-door.ts';
import type { LogEntry } from './log-entry.ts';
import { PATHS } from './paths.ts';
import { utcTime } from './utc-time.ts';

/**
 * Writes entries to the log file as JSON lines and to stderr as text, both with the same word for
 * the event; without a writable log file, to stderr alone.
 */
export interface Log {
  write(entry: LogEntry): void;
  level(level: LogLevel): void;
}

const RANK: Readonly<Record<LogLevel, number>> = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  silent: 60,
};

const LOG_MODE = 0o640;

/** One line for people, on stderr. */
export type Say = (line: string) => void;

/** Node would first make a stream of it, which takes a hook longer than all it says. */
function sayAsItIs(line: string): void {
  writeSync(2, `${visibleLine(line)}\n`);
}

/** The log file, ready for entries; undefined when it cannot be written. */
function openFile(name: string): pino.Logger | undefined {
  // By its descriptor: the folder of logs is not everywhere root's alone.
  const descriptor = openLogDoor(PATHS.log, LOG_MODE);
  if (descriptor === undefined) return undefined;
  return pino({
    level: 'trace',
    timestamp: () => utcTime(new Date()),
    browser: {
      // A full disk under the log is no reason to fail: `down` would end a reconnect. An entry that
      // cannot be written is lost.
      write: (entry: object) => {
        try {
          writeSync(descriptor, `${JSON.stringify(entry)}\n`);
        } catch {}
      },
    },
  }).child({ name, pid: process.pid });
}

/**
 * `shown` is the least important level that also goes to stderr: a command answers on stdout
 * already. The file is opened for the first entry, so that who has nothing to say leaves none
 * behind.
 */
export function openLog(name: string, shown: LogLevel, say: Say = sayAsItIs): Log {
  let file: { readonly logger: pino.Logger | undefined } | undefined;
  let least: LogLevel = 'info';
  return {
    write({ level, event, message, fields }) {
      if (RANK[level] < RANK[least]) return;
      file ??= { logger: openFile(name) };
      file.logger?.[level]({ event, ...fields }, visibleLine(message));
      if (RANK[level] < RANK[shown]) return;
      try {
        say(`ovpn-killswitch: ${name}: ${event}: ${message}`);
      } catch {
        // OpenVPN under --daemon without a log gives hooks a stderr that may be closed; the log
        // file has the entry.
      }
    },
    level(level) {
      least = level;
    },
  };
}
