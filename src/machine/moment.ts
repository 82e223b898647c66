import type { Host } from '../host/host.ts';
import { object, type Schema, seconds, text } from './schema.ts';

/**
 * A moment of this boot, in seconds since the boot, sleep included (proc(5), uptime). No clock
 * change by a person or a time server moves it. Any later boot is after it.
 */
export interface Moment {
  readonly boot: string;
  readonly uptime: number;
}

function bootId(host: Host): string {
  return (host.read('/proc/sys/kernel/random/boot_id') ?? '').trim();
}

function uptime(host: Host): number {
  const [seconds = ''] = (host.read('/proc/uptime') ?? '').split(' ');
  return Number(seconds) || 0;
}

export function momentIn(host: Host, seconds: number): Moment {
  return { boot: bootId(host), uptime: uptime(host) + seconds };
}

/** Returns the seconds until a moment; 0 once it has passed. */
export function secondsUntil(host: Host, moment: Moment): number {
  return moment.boot === bootId(host) ? Math.max(0, moment.uptime - uptime(host)) : 0;
}

export const moment: Schema<Moment> = object({ boot: text((id) => id, 'a boot'), uptime: seconds });
