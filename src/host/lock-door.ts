import { closeSync, constants, fstatSync, mkdirSync, openSync, type Stats } from 'node:fs';
import { isRoot } from './distrust.ts';
import { errno } from './errno.ts';
import { FOLDER_MODE, inFolder, OPEN_FOLDER } from './folder-door.ts';
import { AT_ONCE, follow, NEW, settle, splitPath } from './follow.ts';
import { removeEntry } from './remove-door.ts';
import { enter, type Folder, within } from './walk.ts';

/**
 * Opens a lock's file: root's, and for root alone, because any process that can open a file can
 * hold its lock (flock(2)). Makes its folder so that only root can write to it. Replaces a file
 * with any other owner, mode or kind, so that no other process holds the new one.
 */
export function openLockDoor(path: string): number {
  const { folder, name } = splitPath(path);
  const { folder: above, name: own } = splitPath(folder);
  return inFolder(above, (outer, root) =>
    inLockFolder(outer, own, root, (opened) => openLock(opened, name)),
  );
}

/**
 * Works in the lock's folder. Only root can have made it, in a folder of root's alone, so a wrong
 * owner or mode is corrected.
 */
function inLockFolder<Result>(
  above: Folder,
  name: string,
  root: Stats,
  work: (folder: Folder) => Result,
): Result {
  try {
    mkdirSync(within(above, name), { mode: FOLDER_MODE });
  } catch (thrown) {
    if (errno(thrown) !== 'EEXIST') throw thrown;
  }
  const descriptor = openSync(within(above, name), OPEN_FOLDER);
  try {
    const found = fstatSync(descriptor);
    if (!isRoot(found.uid, root)) settle(descriptor, { uid: 0, gid: 0, mode: FOLDER_MODE });
    else if ((found.mode & 0o7777) !== FOLDER_MODE)
      settle(descriptor, { ...found, mode: FOLDER_MODE });
    return work(enter(above, name, descriptor, fstatSync(descriptor), root));
  } finally {
    closeSync(descriptor);
  }
}

const LOCK_MODE = 0o600;

function openLock(folder: Folder, name: string): number {
  for (;;) {
    try {
      const made = openSync(within(folder, name), constants.O_RDWR | NEW, LOCK_MODE);
      settle(made, { uid: 0, gid: 0, mode: LOCK_MODE });
      return made;
    } catch (thrown) {
      if (errno(thrown) !== 'EEXIST') throw thrown;
    }
    const found = openExistingLock(folder, name);
    if (found !== undefined) return found;
    removeEntry(folder, name);
  }
}

/** Opens the existing lock file if it is safe; undefined otherwise. */
function openExistingLock(folder: Folder, name: string): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(within(folder, name), constants.O_RDWR | constants.O_NOFOLLOW | AT_ONCE);
  } catch (thrown) {
    // It is a link, a folder or a socket.
    if (['ELOOP', 'EISDIR', 'ENXIO', 'ENOENT', 'EAGAIN'].includes(errno(thrown) ?? ''))
      return undefined;
    throw thrown;
  }
  const stat = fstatSync(descriptor);
  if (stat.isFile() && stat.uid === 0 && (stat.mode & 0o7777) === LOCK_MODE && stat.nlink === 1)
    return descriptor;
  closeSync(descriptor);
  return undefined;
}

/**
 * Whether a path still leads to this open lock: a process that replaces a wrong file leaves the old
 * one to its holder.
 */
export function isLockAt(path: string, descriptor: number): boolean {
  const held = fstatSync(descriptor);
  return follow(
    path,
    'anybody',
    ({ entry }) => entry?.stat.ino === held.ino && entry.stat.dev === held.dev,
  );
}
