import type { Stats } from 'node:fs';

/** Why somebody besides root decides what is at a path. */
export interface Distrust {
  /** The file, link or folder at fault: the path itself, or one above it. */
  readonly at: string;
  readonly uid: number;
  /** The low twelve bits of its mode. */
  readonly mode: number;
  /**
   * `owner`: it belongs to another account. `writable`: its group or everybody may write to it.
   * `link`: a symbolic link that another account has set or may change.
   * `names`: a file with a second name (a hard link), where another account may have given it one.
   */
  readonly kind: 'owner' | 'writable' | 'link' | 'names';
}

/** What stands for every account that a user namespace does not know (Linux, overflowuid). */
const OVERFLOW = 65534;
const [WRITABLE, STICKY] = [0o022, 0o1000];

/**
 * Whether an account is root, as far as files go. In a user namespace with root alone the
 * machine's own folders belong to the overflow account, `/` first of all: who owns `/` decides
 * about every path anyway.
 */
export function isRoot(uid: number, rootFolder: Pick<Stats, 'uid'>): boolean {
  return uid === 0 || (uid === OVERFLOW && rootFolder.uid === OVERFLOW);
}

/** Whether anybody may make entries in a folder, and change only their own. */
export function isSticky({ mode }: Stats): boolean {
  return (mode & STICKY) !== 0 && (mode & WRITABLE) !== 0;
}

/**
 * Why a file or folder is not root's alone; undefined when it is. The group counts like everybody:
 * its bits are also the mask of an access control list (acl(5)).
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
