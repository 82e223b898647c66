import type { Files } from '../host/files.ts';
import { processText } from './process-text.ts';

/** Returns the names of all processes (proc(5), comm: at most 15 characters). */
export function runningPrograms(files: Files): ReadonlySet<string> {
  const names = files
    .list('/proc')
    .flatMap((pid) => (/^\d+$/.test(pid) ? [processText(files, pid, 'comm').trim()] : []));
  return new Set(names);
}
