import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { type BootTime, bootTimeIn } from '../machine/boot-time.ts';

/**
 * Schedules `due` in so many seconds, by a timer that outlives this process, its terminal and its
 * session. Returns that moment.
 */
export function scheduleDue(host: Host, seconds: number): BootTime {
  const moment = bootTimeIn(host, seconds);
  host.startIn(seconds, PATHS.command, ['due']);
  return moment;
}
