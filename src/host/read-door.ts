import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';
import { distrustOf } from './distrust.ts';
import { errno } from './errno.ts';
import { AT_ONCE, follow, refuse, regular, reopen, type Who } from './follow.ts';
import { childPath, LinkError, walk } from './walk.ts';

/** Bytes: more than any file that root writes here. */
export const MOST_OF_ROOTS = 64 * 1024 * 1024;
/** Bytes: more than any profile or resolv.conf. */
const MOST_OF_OTHERS = 1024 * 1024;
const CHUNK = 256 * 1024;

/**
 * Returns undefined for a file that vanished between a check and its use, as when another hook
 * removes a tunnel's file.
 */
function unlessGone<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (thrown) {
    if (errno(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** Returns everything in an open file, and closes it. */
export function bytesOf(file: number, most: number, inTime: () => void, { size }: Stats): Buffer {
  try {
    const chunks: Buffer[] = [];
    for (let length = 0; ; ) {
      inTime();
      // A file of a pseudo file system has no size.
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(1024, size + 1 - length)));
      const read = readSync(file, chunk, 0, chunk.length, null);
      length += read;
      if (length > most) throw new Error(`it is larger than ${most} bytes`);
      chunks.push(chunk.subarray(0, read));
      if (read === 0 || (length === size && read < chunk.length)) return Buffer.concat(chunks);
    }
  } finally {
    closeSync(file);
  }
}

/**
 * Folders that were root's alone, with all above them and no link, and the time of that check.
 * Hooks read many files of few folders.
 */
const judged = new Map<string, number>();
const JUDGED_SECONDS = 1;

/** Forgets these checks. Call it before a folder may be replaced. */
export function forgetJudged(): void {
  judged.clear();
}

/**
 * Reads a file of root's in a folder that was checked a moment ago; `unknown` where it must be
 * checked again.
 */
function readJudged(
  path: string,
  single: boolean,
  inTime: () => void,
): Buffer | undefined | 'unknown' {
  const since = judged.get(dirname(path));
  if (since === undefined || process.uptime() - since > JUDGED_SECONDS) return 'unknown';
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | AT_ONCE);
  } catch (thrown) {
    return errno(thrown) === 'ENOENT' ? undefined : 'unknown';
  }
  const stat = fstatSync(file);
  if (
    stat.isFile() &&
    stat.uid === 0 &&
    distrustOf(path, stat, stat) === undefined &&
    (!single || stat.nlink === 1)
  )
    return bytesOf(file, MOST_OF_ROOTS, inTime, stat);
  closeSync(file);
  return 'unknown';
}

/**
 * Returns a file's bytes; undefined when there is none.
 * @param single refuses a file with a second name too, for folders where others could once make
 * entries
 * @param inTime throws when the time is up
 * @throws KillswitchError OWNER
 */
export function readDoor(
  path: string,
  who: Who,
  inTime: () => void,
  single = false,
): Buffer | undefined {
  const known = who === 'root' ? readJudged(path, single, inTime) : 'unknown';
  if (known !== 'unknown') return known;
  return follow(path, who, (walked) => {
    const { folder, name, rest } = walked;
    if (who === 'root' && rest.length === 0 && childPath(folder, name) === path)
      judged.set(folder.path, process.uptime());
    const entry = regular(path, walked);
    if (entry === undefined) return undefined;
    const { stat } = entry;
    if (single && stat.nlink > 1)
      throw refuse(path, { at: path, uid: stat.uid, mode: stat.mode & 0o7777, kind: 'names' });
    const file = unlessGone(() => reopen(walked, entry, constants.O_RDONLY));
    return file === undefined
      ? undefined
      : bytesOf(file, who === 'root' ? MOST_OF_ROOTS : MOST_OF_OTHERS, inTime, stat);
  });
}

/** Lists the names in a folder of any owner; none when there is no such folder. */
export function listDoor(path: string): readonly string[] {
  return follow(path, 'anybody', ({ folder, name, entry }) => {
    if (name !== '' && entry === undefined) return [];
    return readdirSync(`/proc/self/fd/${(entry ?? folder).descriptor}/`).sort();
  });
}

/**
 * Resolves a path through links that root has set, whether or not it exists. It stops at another
 * account's link. Undefined when nothing has that name.
 */
export function placeDoor(path: string): string | undefined {
  try {
    return walk(path, ({ folder, name, entry, rest }) => {
      const place =
        [folder.path === '/' ? '' : folder.path, ...(name === '' ? [] : [name]), ...rest].join(
          '/',
        ) || '/';
      return entry !== undefined || name === '' || place !== path ? place : undefined;
    });
  } catch (thrown) {
    if (thrown instanceof LinkError) return thrown.link;
    throw thrown;
  }
}
