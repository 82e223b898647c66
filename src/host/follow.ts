import {
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  openSync,
  readFileSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Distrust } from './distrust.ts';
import { refusal } from './refusal.ts';
import { LinkError, type Walked, walk, within } from './walk.ts';

/**
 * The door to files that other accounts can reach. Every folder above a file is opened by its name
 * in the one before it, and judged on its descriptor; files are opened only once they are known to
 * be regular. So nobody can swap in a link, a FIFO or a device between a look and a use, and owner
 * and mode are set on descriptors alone.
 */

/**
 * Never waits: not for a lease that somebody holds (fcntl(2), F_SETLEASE), and no terminal becomes
 * ours.
 */
export const AT_ONCE = constants.O_NONBLOCK | constants.O_NOCTTY;
export const NEW = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | AT_ONCE;

/** Whether only root may decide about a path, or anybody. */
export type Who = 'root' | 'anybody';

/** The name of an account, for people; undefined where passwd(5) has none. */
function accountName(uid: number): string | undefined {
  try {
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
    return lines.map((line) => line.split(':')).find((fields) => fields[2] === String(uid))?.[0];
  } catch {
    return undefined;
  }
}

export function refuse(path: string, distrust: Distrust): Error {
  return refusal(path, distrust, accountName(distrust.uid));
}

/**
 * Follows a path.
 * @throws KillswitchError OWNER at somebody else's link, and for `root` wherever others decide.
 */
export function follow<Result>(
  path: string,
  who: Who,
  work: (walked: Walked, root: Stats) => Result,
): Result {
  try {
    return walk(path, (walked, root) => {
      if (who === 'root' && walked.distrust !== undefined) throw refuse(path, walked.distrust);
      return work(walked, root);
    });
  } catch (thrown) {
    throw thrown instanceof LinkError ? refuse(path, thrown.distrust) : thrown;
  }
}

/**
 * A file that is known to be regular, and that nobody has given a second name whom its folder does
 * not trust.
 */
export function regular(
  path: string,
  { entry, distrust }: Walked,
): NonNullable<Walked['entry']> | undefined {
  if (entry === undefined) return undefined;
  const { stat } = entry;
  if (!stat.isFile())
    throw new Error(
      `${stat.isDirectory() ? 'EISDIR: it is a folder' : 'it is a device, a FIFO or a socket'}, not a regular file`,
    );
  if (distrust !== undefined && stat.nlink > 1)
    throw refuse(path, { at: path, uid: stat.uid, mode: stat.mode & 0o7777, kind: 'names' });
  return entry;
}

/** An open entry, opened again to be read or written. */
export function reopen(
  { folder, name, distrust }: Walked,
  { descriptor }: NonNullable<Walked['entry']>,
  flags: number,
): number {
  const path = distrust === undefined ? within(folder, name) : `/proc/self/fd/${descriptor}`;
  return openSync(path, flags | AT_ONCE | (distrust === undefined ? constants.O_NOFOLLOW : 0));
}

/** Owner and mode of an open file or folder, exactly. */
export function settle(
  descriptor: number,
  { uid, gid, mode }: Pick<Stats, 'uid' | 'gid' | 'mode'>,
): void {
  const found = fstatSync(descriptor);
  if (found.uid !== uid || found.gid !== gid) fchownSync(descriptor, uid, gid);
  if ((fstatSync(descriptor).mode & 0o7777) !== mode) fchmodSync(descriptor, mode);
}

/** Splits the path of a file into its folder and its name there. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  return { folder: dirname(path), name: path.slice(path.lastIndexOf('/') + 1) };
}
