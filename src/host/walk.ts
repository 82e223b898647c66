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

/** A folder that is open, and may be searched. */
export interface Folder {
  readonly path: string;
  readonly descriptor: number;
  readonly stat: Stats;
  /** Why others than root decide what the folder's path leads to, or what is in it. */
  readonly distrust: Distrust | undefined;
  /**
   * Set where anybody may make entries, and change only their own: a folder of root's there is
   * safe, a file is not.
   */
  readonly sticky: Distrust | undefined;
}

/** Where a path leads. Links were followed only where root alone has set them. */
export interface Walked {
  readonly folder: Folder;
  /** The name in that folder; empty for `/` itself. */
  readonly name: string;
  /**
   * What has that name, opened with O_PATH: nothing was read, and no device or FIFO was touched.
   * Undefined when nothing has it.
   */
  readonly entry: { readonly descriptor: number; readonly stat: Stats } | undefined;
  /** Names below one that is missing, or below one that is no folder. */
  readonly rest: readonly string[];
  /** Why others than root decide what is there. */
  readonly distrust: Distrust | undefined;
}

/** A path that cannot be followed without trusting somebody else's link. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
  readonly distrust: Distrust;
  /** The path of the link. */
  readonly link: string;

  constructor(distrust: Distrust, link: string) {
    super(`others than root can lead the path elsewhere at ${distrust.at}`);
    this.distrust = distrust;
    this.link = link;
  }
}

/**
 * The path of an entry of an open folder. In a folder of root's alone its own path serves: nobody
 * else can have changed it since it was judged, and it is five times as fast. Otherwise it means
 * what openat(2) means, whatever has become of the folder's path.
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
  // Without it every file would look missing, the record of the lock too.
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

/** A folder that was found in another. */
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
 * `work` with where it leads, and closes everything.
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
      // In a sticky folder nobody replaces a folder of root's; a file there may have been given its
      // name by anybody (link(2)).
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
