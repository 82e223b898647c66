import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { type Moment, momentIn } from '../machine/moment.ts';

/**
 * Schedules `due` in so many seconds, by a timer that outlives this process, its terminal and its
 * session. Returns that moment.
 */
export function dueIn(host: Host, seconds: number): Moment {
  const moment = momentIn(host, seconds);
  host.startIn(seconds, PATHS.command, ['due']);
  return moment;
}
