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
 * The door to files that other accounts can reach. It opens every folder above a file by its name
 * in the previous one, and checks it on its descriptor. It opens a file only once it is known to be
 * regular. So no account can swap in a link, a FIFO or a device between a check and a use. Owner
 * and mode are set only on descriptors.
 */

/**
 * Never waits for another process's lease (fcntl(2), F_SETLEASE), and never makes a terminal ours.
 */
export const AT_ONCE = constants.O_NONBLOCK | constants.O_NOCTTY;
export const NEW = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | AT_ONCE;

/** Whether only root may control a path, or any account. */
export type Who = 'root' | 'anybody';

/** Returns the name of an account, for people; undefined where passwd(5) has none. */
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
 * @throws KillswitchError OWNER at another account's link, and for `root` wherever others have
 * control.
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
 * Returns a file known to be regular. Refuses one with a second name that an untrusted account may
 * have made.
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

/** Opens an open entry again, to read or write it. */
export function reopen(
  { folder, name, distrust }: Walked,
  { descriptor }: NonNullable<Walked['entry']>,
  flags: number,
): number {
  const path = distrust === undefined ? within(folder, name) : `/proc/self/fd/${descriptor}`;
  return openSync(path, flags | AT_ONCE | (distrust === undefined ? constants.O_NOFOLLOW : 0));
}

/** Sets owner and mode of an open file or folder exactly. */
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
