import type { Host } from '../host/host.ts';
import { processText } from './process-text.ts';

/** Returns the names of all processes (proc(5), comm: at most 15 characters). */
export function runningPrograms(host: Host): ReadonlySet<string> {
  const names = host
    .list('/proc')
    .flatMap((pid) => (/^\d+$/.test(pid) ? [processText(host, pid, 'comm').trim()] : []));
  return new Set(names);
}
