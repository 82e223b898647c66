import type { Files } from '../host/files.ts';

/**
 * Reads a file of a process under /proc. Returns an empty text when it is unreadable: the process
 * may have ended, or belong to another user.
 */
export function processText(files: Files, pid: number | string, file: string): string {
  try {
    return files.read(`/proc/${pid}/${file}`) ?? '';
  } catch {
    return '';
  }
}
