import { closeSync, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Distrust } from './distrust.ts';
import { errno } from './errno.ts';
import { OPEN_FOLDER } from './folder-door.ts';
import { follow } from './follow.ts';
import { forgetJudged } from './read-door.ts';
import { enter, type Folder, within } from './walk.ts';

/** Limit of the depth: nobody makes deeper folders in good faith. */
const DEEPEST = 64;
/** Stands for a folder that was not checked. */
const UNKNOWN: Distrust = { at: '', uid: 0, mode: 0, kind: 'writable' };

/** Removes an entry of a folder, whatever it is, and nothing outside: follows no link. */
export function removeEntry(folder: Folder, name: string, depth = 0): void {
  const path = within(folder, name);
  try {
    unlinkSync(path);
    return;
  } catch (thrown) {
    if (errno(thrown) === 'ENOENT') return;
    // POSIX reports EPERM for a folder.
    if (errno(thrown) !== 'EISDIR' && errno(thrown) !== 'EPERM') throw thrown;
  }
  if (depth === DEEPEST) throw new Error(`folders lie in it ${DEEPEST} deep`);
  const descriptor = openSync(path, OPEN_FOLDER);
  try {
    // By its descriptor: another process may have moved the folder since.
    const below = { ...folder, descriptor, distrust: folder.distrust ?? UNKNOWN };
    for (const each of readdirSync(`/proc/self/fd/${descriptor}/`))
      removeEntry(below, each, depth + 1);
  } finally {
    closeSync(descriptor);
  }
  rmdirSync(path);
}

/** Removes the entry at a path, a folder with everything in it. A missing one is no error. */
export function removeDoor(path: string): void {
  forgetJudged();
  follow(dirname(path), 'anybody', ({ folder, name, entry }, root) => {
    const last = path.slice(path.lastIndexOf('/') + 1);
    if (last === '' || last === '..' || last === '.') throw new Error('it names no entry');
    if (name === '') removeEntry(folder, last);
    else if (entry?.stat.isDirectory() === true)
      removeEntry(enter(folder, name, entry.descriptor, entry.stat, root), last);
  });
}
