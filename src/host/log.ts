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
 * the event. Without a writable log file it writes only to stderr.
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

/** Writes without a stream: making Node's would take a hook longer than the write. */
function sayAsItIs(line: string): void {
  writeSync(2, `${visibleLine(line)}\n`);
}

/** Opens the log file; undefined when it cannot be written. */
function openFile(name: string): pino.Logger | undefined {
  // Uses its descriptor: on some machines non-root users can write to the folder of logs.
  const descriptor = openLogDoor(PATHS.log, LOG_MODE);
  if (descriptor === undefined) return undefined;
  return pino({
    level: 'trace',
    timestamp: () => utcTime(new Date()),
    browser: {
      // Loses an entry that cannot be written, as on a full disk. An error would make `down` end a
      // reconnect.
      write: (entry: object) => {
        try {
          writeSync(descriptor, `${JSON.stringify(entry)}\n`);
        } catch {}
      },
    },
  }).child({ name, pid: process.pid });
}

/**
 * Opens the log. `shown` is the least important level that also goes to stderr: a command answers
 * on stdout already. Opens the file at the first entry, so that a run without entries leaves none.
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
        // OpenVPN under --daemon without a log gives hooks a stderr that may be closed. The log
        // file has the entry.
      }
    },
    level(level) {
      least = level;
    },
  };
}
