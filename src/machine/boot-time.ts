import type { Files } from '../host/files.ts';
import { object, type Schema, seconds, text } from './schema.ts';

/**
 * A time of this boot, in seconds since the boot, sleep included (proc(5), uptime). No clock
 * change by a person or a time server moves it. Any later boot is after it.
 */
export interface BootTime {
  readonly boot: string;
  readonly uptime: number;
}

function bootId(files: Files): string {
  return (files.read('/proc/sys/kernel/random/boot_id') ?? '').trim();
}

function uptime(files: Files): number {
  const [seconds = ''] = (files.read('/proc/uptime') ?? '').split(' ');
  return Number(seconds) || 0;
}

export function bootTimeIn(files: Files, seconds: number): BootTime {
  return { boot: bootId(files), uptime: uptime(files) + seconds };
}

/** Returns the seconds until a time of this boot; 0 once it has passed. */
export function secondsUntil(files: Files, time: BootTime): number {
  return time.boot === bootId(files) ? Math.max(0, time.uptime - uptime(files)) : 0;
}

export const bootTime: Schema<BootTime> = object({
  boot: text((id) => id, 'a boot'),
  uptime: seconds,
});
