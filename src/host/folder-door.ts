import { closeSync, constants, fstatSync, mkdirSync, openSync, type Stats } from 'node:fs';
import { errno } from './errno.ts';
import { follow, refuse, settle } from './follow.ts';
import { enter, type Folder, within } from './walk.ts';

export const FOLDER_MODE = 0o755;
export const OPEN_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Makes a folder of root's in another, whatever the umask is, and works in it. Checks one that
 * another process made meanwhile.
 */
function inNewFolder<Result>(
  above: Folder,
  [name = '', ...rest]: readonly string[],
  root: Stats,
  path: string,
  work: (folder: Folder) => Result,
): Result {
  let isNew = true;
  try {
    mkdirSync(within(above, name), { mode: FOLDER_MODE });
  } catch (thrown) {
    if (errno(thrown) !== 'EEXIST') throw thrown;
    isNew = false;
  }
  const descriptor = openSync(within(above, name), OPEN_FOLDER);
  try {
    if (isNew) settle(descriptor, { uid: 0, gid: 0, mode: FOLDER_MODE });
    const folder = enter(above, name, descriptor, fstatSync(descriptor), root);
    const distrust = folder.distrust ?? folder.sticky;
    if (distrust !== undefined) throw refuse(path, distrust);
    return rest.length === 0 ? work(folder) : inNewFolder(folder, rest, root, path, work);
  } finally {
    closeSync(descriptor);
  }
}

/** Works in a folder that is root's alone. Makes its missing parts. */
export function inFolder<Result>(
  path: string,
  work: (folder: Folder, root: Stats) => Result,
): Result {
  return follow(path, 'root', ({ folder, name, entry, rest }, root) => {
    if (name === '') return work(folder, root);
    if (entry === undefined)
      return inNewFolder(folder, [name, ...rest], root, path, (made) => work(made, root));
    return work(enter(folder, name, entry.descriptor, entry.stat, root), root);
  });
}

/** Makes a folder of root's, with those above it. An existing one must be root's alone. */
export function makeFolderDoor(path: string): void {
  inFolder(path, () => undefined);
}
