import type { Stats } from 'node:fs';

/** Why another account than root controls a path. */
export interface Distrust {
  /** The file, link or folder at fault: the path itself, or one above it. */
  readonly at: string;
  readonly uid: number;
  /** The low twelve bits of its mode. */
  readonly mode: number;
  /**
   * `owner`: it belongs to another account. `writable`: its group or everybody may write to it.
   * `link`: a symbolic link that another account has set or may change.
   * `names`: a file with a second name (a hard link), which another account may have made.
   */
  readonly kind: 'owner' | 'writable' | 'link' | 'names';
}

/** The uid of every account that a user namespace does not map (Linux, overflowuid). */
const OVERFLOW = 65534;
const [WRITABLE, STICKY] = [0o022, 0o1000];

/**
 * Whether an account counts as root for files. In a user namespace that maps only root, the
 * machine's own folders belong to the overflow account, `/` first of all. The owner of `/` controls
 * every path anyway.
 */
export function isRoot(uid: number, rootFolder: Pick<Stats, 'uid'>): boolean {
  return uid === 0 || (uid === OVERFLOW && rootFolder.uid === OVERFLOW);
}

/** Whether any account may make entries in a folder, and change only its own. */
export function isSticky({ mode }: Stats): boolean {
  return (mode & STICKY) !== 0 && (mode & WRITABLE) !== 0;
}

/**
 * Says why a file or folder is not root's alone; undefined when it is. Group bits count like those
 * for everybody: they are also the mask of an access control list (acl(5)).
 */
export function distrustOf(
  at: string,
  stat: Stats,
  rootFolder: Pick<Stats, 'uid'>,
): Distrust | undefined {
  const fault = { at, uid: stat.uid, mode: stat.mode & 0o7777 };
  if (!isRoot(stat.uid, rootFolder))
    return { ...fault, kind: stat.isSymbolicLink() ? 'link' : 'owner' };
  if (stat.isSymbolicLink()) return undefined;
  return (stat.mode & WRITABLE) === 0 ? undefined : { ...fault, kind: 'writable' };
}
