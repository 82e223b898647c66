import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { type Distrust, distrustOf, isRoot, isSticky } from './distrust.ts';

/** O_PATH: one number on every architecture that Node runs on (linux/asm-generic/fcntl.h). */
const O_PATH = 0o10000000;
const LOOK = O_PATH | constants.O_NOFOLLOW;
/** As many links as the kernel follows (linux/namei.h, MAXSYMLINKS). */
const MOST_LINKS = 40;

/** An open folder that may be searched. */
export interface Folder {
  readonly path: string;
  readonly descriptor: number;
  readonly stat: Stats;
  /** Why others than root control the folder's path, or its entries. */
  readonly distrust: Distrust | undefined;
  /**
   * Set where any account may make entries, and change only its own. A folder of root's is safe
   * there, a file is not.
   */
  readonly sticky: Distrust | undefined;
}

/** The end of a path. Only links that root alone has set were followed. */
export interface Walked {
  readonly folder: Folder;
  /** The name in that folder; empty for `/` itself. */
  readonly name: string;
  /**
   * The entry of that name, opened with O_PATH: nothing was read, and no device or FIFO was
   * touched. Undefined when there is none.
   */
  readonly entry: { readonly descriptor: number; readonly stat: Stats } | undefined;
  /** Names below a missing entry, or below one that is no folder. */
  readonly rest: readonly string[];
  /** Why others than root control the entry. */
  readonly distrust: Distrust | undefined;
}

/** Thrown for a path that leads through another account's link. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
  readonly distrust: Distrust;
  /** The path of the link. */
  readonly link: string;

  constructor(distrust: Distrust, link: string) {
    super(`non-root users can lead the path elsewhere at ${distrust.at}`);
    this.distrust = distrust;
    this.link = link;
  }
}

/**
 * Returns the path of an entry of an open folder. In a folder of root's alone that is its own path:
 * no other account can have changed it since the check. That is five times as fast. Elsewhere it
 * means the same as openat(2), even if the folder's path has changed.
 */
export function within(
  { path, descriptor, distrust, sticky }: Omit<Folder, 'stat'>,
  name: string,
): string {
  return distrust === undefined && sticky === undefined
    ? childPath({ path }, name)
    : `/proc/self/fd/${descriptor}/${name}`;
}

export function childPath({ path }: Pick<Folder, 'path'>, name: string): string {
  return path === '/' ? `/${name}` : `${path}/${name}`;
}

function openRoot(): Folder {
  const descriptor = openSync('/', O_PATH | constants.O_DIRECTORY);
  // Without /proc every file would look missing, the record of the lock too.
  if (!existsSync(`/proc/self/fd/${descriptor}`)) throw new Error('/proc is not mounted');
  const stat = fstatSync(descriptor);
  return { path: '/', descriptor, stat, distrust: distrustOf('/', stat, stat), sticky: undefined };
}

function look(folder: Folder, name: string): Walked['entry'] {
  let descriptor: number;
  try {
    descriptor = openSync(within(folder, name), LOOK);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw thrown;
  }
  try {
    return { descriptor, stat: fstatSync(descriptor) };
  } catch (thrown) {
    closeSync(descriptor);
    throw thrown;
  }
}

/** Opens a folder found in another. */
export function enter(
  above: Folder,
  name: string,
  descriptor: number,
  stat: Stats,
  root: Stats,
): Folder {
  const path = childPath(above, name);
  const own = distrustOf(path, stat, root);
  const sticky = own?.kind === 'writable' && isSticky(stat) ? own : undefined;
  return {
    path,
    descriptor,
    stat,
    distrust: above.distrust ?? (sticky === undefined ? own : undefined),
    sticky,
  };
}

/**
 * Follows an absolute path, one name after the other, each opened in the folder before it. Calls
 * `work` with the end of the path, and closes everything.
 * @throws LinkError at a link that others than root have set.
 */
export function walk<Result>(path: string, work: (walked: Walked, root: Stats) => Result): Result {
  const root = openRoot();
  const above: Folder[] = [root];
  let entry: Walked['entry'];
  try {
    let names = path.split('/').filter((name) => name !== '' && name !== '.');
    for (let links = 0; ; ) {
      const folder = above.at(-1) ?? root;
      const [name, ...rest] = names;
      if (name === undefined)
        return work(
          {
            folder,
            name: '',
            entry: undefined,
            rest: [],
            distrust: folder.distrust ?? folder.sticky,
          },
          root.stat,
        );
      if (name === '..') {
        if (above.length > 1) closeSync(above.pop()?.descriptor ?? -1);
        names = rest;
        continue;
      }
      entry = look(folder, name);
      const { stat } = entry ?? {};
      const own = stat && distrustOf(childPath(folder, name), stat, root.stat);
      if (entry !== undefined && stat?.isSymbolicLink() === true) {
        const distrust = own ?? folder.distrust ?? folder.sticky;
        if (distrust !== undefined) throw new LinkError(distrust, childPath(folder, name));
        if (++links > MOST_LINKS) throw new Error('too many symbolic links');
        const target = readlinkSync(within(folder, name));
        if (target.startsWith('/'))
          for (const { descriptor } of above.splice(1)) closeSync(descriptor);
        closeSync(entry.descriptor);
        entry = undefined;
        names = [...target.split('/').filter((each) => each !== '' && each !== '.'), ...rest];
        continue;
      }
      if (entry !== undefined && stat?.isDirectory() === true && rest.length > 0) {
        above.push(enter(folder, name, entry.descriptor, stat, root.stat));
        entry = undefined;
        names = rest;
        continue;
      }
      // A path through a file leads nowhere.
      if (entry !== undefined && rest.length > 0) {
        closeSync(entry.descriptor);
        entry = undefined;
      }
      // In a sticky folder no account replaces a folder of root's. Any account may have given a
      // file its name there (link(2)).
      const inSticky =
        stat?.isDirectory() === true && isRoot(stat.uid, root.stat) ? undefined : folder.sticky;
      return work(
        { folder, name, entry, rest, distrust: folder.distrust ?? inSticky ?? own },
        root.stat,
      );
    }
  } finally {
    if (entry !== undefined) closeSync(entry.descriptor);
    for (const { descriptor } of above) closeSync(descriptor);
  }
}
