import type { Host } from '../host/host.ts';

/**
 * Reads a file of a process under /proc. Returns an empty text when it is unreadable: the process
 * may have ended, or belong to another user.
 */
export function processText(host: Host, pid: number | string, file: string): string {
  try {
    return host.read(`/proc/${pid}/${file}`) ?? '';
  } catch {
    return '';
  }
}
