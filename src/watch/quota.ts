import type { Host, LogEntry } from '../host/host.ts';

/** How many entries of the log a minute takes: two programs that undo each other's work must not fill the disk. */
const MOST_ENTRIES = 10;
const MINUTE_SECONDS = 60;

/** Logs entries, but no more of them than that; the first of a later minute says how many were left out. */
export function quota(host: Host): (entry: LogEntry) => void {
  let since = Number.NEGATIVE_INFINITY;
  let count = 0;
  return (entry) => {
    const now = host.now();
    if (now - since >= MINUTE_SECONDS) {
      const left = Math.max(0, count - MOST_ENTRIES);
      if (left > 0) host.log({ level: 'warn', event: 'quota', message: `${left} more of these were left out of the log` });
      since = now;
      count = 0;
    }
    count++;
    if (count <= MOST_ENTRIES) host.log(entry);
  };
}
