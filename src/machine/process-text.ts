import type { Host } from '../host/host.ts';

/**
 * A file of a process under /proc; empty when it cannot be read: a process may end meanwhile, and
 * may belong to somebody else.
 */
export function processText(host: Host, pid: number | string, file: string): string {
  try {
    return host.read(`/proc/${pid}/${file}`) ?? '';
  } catch {
    return '';
  }
}
