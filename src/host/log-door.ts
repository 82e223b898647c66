import { closeSync, constants, fchmodSync, fstatSync, openSync } from 'node:fs';
import { AT_ONCE, follow, splitPath } from './follow.ts';
import { enter, within } from './walk.ts';

/**
 * Opens a log to append lines; undefined when it is no file of root's alone, or of this account.
 */
export function openLogDoor(path: string, mode: number): number | undefined {
  const { folder, name } = splitPath(path);
  try {
    return follow(folder, 'anybody', (walked, root) => {
      if (walked.entry === undefined || !walked.entry.stat.isDirectory()) return undefined;
      const opened = enter(
        walked.folder,
        walked.name,
        walked.entry.descriptor,
        walked.entry.stat,
        root,
      );
      const flags =
        constants.O_WRONLY |
        constants.O_APPEND |
        constants.O_CREAT |
        constants.O_NOFOLLOW |
        AT_ONCE;
      const descriptor = openSync(within(opened, name), flags, mode);
      const stat = fstatSync(descriptor);
      const account = process.geteuid?.();
      if (stat.isFile() && stat.nlink === 1 && (stat.uid === 0 || stat.uid === account)) {
        if (account === 0 && (stat.mode & 0o7777) !== mode) fchmodSync(descriptor, mode);
        return descriptor;
      }
      closeSync(descriptor);
      return undefined;
    });
  } catch {
    return undefined;
  }
}
