import { closeSync, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Distrust } from './distrust.ts';
import { errno } from './errno.ts';
import { OPEN_FOLDER } from './folder-door.ts';
import { follow } from './follow.ts';
import { forgetJudged } from './read-door.ts';
import { enter, type Folder, within } from './walk.ts';

/** Deeper folders are nobody's who means well. */
const DEEPEST = 64;
/** Of a folder that was not judged. */
const UNKNOWN: Distrust = { at: '', uid: 0, mode: 0, kind: 'writable' };

/** Removes an entry of a folder, whatever it is, and nothing outside: no link is followed. */
export function removeEntry(folder: Folder, name: string, depth = 0): void {
  const path = within(folder, name);
  try {
    unlinkSync(path);
    return;
  } catch (thrown) {
    if (errno(thrown) === 'ENOENT') return;
    // EPERM is what POSIX says of a folder.
    if (errno(thrown) !== 'EISDIR' && errno(thrown) !== 'EPERM') throw thrown;
  }
  if (depth === DEEPEST) throw new Error(`folders lie in it ${DEEPEST} deep`);
  const descriptor = openSync(path, OPEN_FOLDER);
  try {
    // By its descriptor, whoever may have moved it since.
    const below = { ...folder, descriptor, distrust: folder.distrust ?? UNKNOWN };
    for (const each of readdirSync(`/proc/self/fd/${descriptor}/`))
      removeEntry(below, each, depth + 1);
  } finally {
    closeSync(descriptor);
  }
  rmdirSync(path);
}

/** Removes what is at a path, a folder with all that is in it. Nothing there is fine. */
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
