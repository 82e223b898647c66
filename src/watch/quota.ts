import type { Host } from '../host/host.ts';
import type { LogEntry, LogEvent } from '../host/log-entry.ts';

/**
 * The most entries of one event in a minute: two programs that undo each other's work must not fill
 * the disk.
 */
const MOST_ENTRIES = 10;
const MINUTE_SECONDS = 60;

interface Count {
  since: number;
  entries: number;
}

/**
 * Returns a log function that writes at most MOST_ENTRIES of each event a minute. The first entry
 * of a later minute says how many were left out.
 */
export function quota(host: Host): (entry: LogEntry) => void {
  const counts = new Map<LogEvent, Count>();
  return (entry) => {
    const now = host.now();
    const count = counts.get(entry.event) ?? { since: now, entries: 0 };
    counts.set(entry.event, count);
    // After the clock was set back, start a new minute: do not stay silent until the old time
    // returns.
    if (now - count.since >= MINUTE_SECONDS || now < count.since) {
      const left = Math.max(0, count.entries - MOST_ENTRIES);
      if (left > 0)
        host.log({
          level: 'warn',
          event: 'quota',
          message: `${left} more of "${entry.event}" were left out of the log`,
        });
      count.since = now;
      count.entries = 0;
    }
    count.entries++;
    if (count.entries <= MOST_ENTRIES) host.log(entry);
  };
}
