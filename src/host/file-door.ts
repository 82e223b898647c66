import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type Distrust, distrustOf, isRoot } from './distrust.ts';
import { refusal } from './refusal.ts';
import { childPath, enter, type Folder, LinkError, type Walked, walk, within } from './walk.ts';

/**
 * The door to files that other accounts can reach. Every folder above a file is opened by its name
 * in the one before it, and judged on its descriptor; files are opened only once they are known to
 * be regular. So nobody can swap in a link, a FIFO or a device between a look and a use, and owner
 * and mode are set on descriptors alone.
 */

/** Bytes: more than any file that root writes here. */
const MOST_OF_ROOTS = 64 * 1024 * 1024;
/** Bytes: more than any profile or resolv.conf. */
const MOST_OF_OTHERS = 1024 * 1024;
const CHUNK = 256 * 1024;
const FOLDER_MODE = 0o755;
/** Deeper folders are nobody's who means well. */
const DEEPEST = 64;
/**
 * Never waits: not for a lease that somebody holds (fcntl(2), F_SETLEASE), and no terminal becomes
 * ours.
 */
const AT_ONCE = constants.O_NONBLOCK | constants.O_NOCTTY;
const NEW = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | AT_ONCE;
const OPEN_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Whether only root may decide about a path, or anybody. */
export type Who = 'root' | 'anybody';

export function errno(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined;
}

/** The name of an account, for people; undefined where passwd(5) has none. */
function accountName(uid: number): string | undefined {
  try {
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
    return lines.map((line) => line.split(':')).find((fields) => fields[2] === String(uid))?.[0];
  } catch {
    return undefined;
  }
}

function refuse(path: string, distrust: Distrust): Error {
  return refusal(path, distrust, accountName(distrust.uid));
}

/**
 * Follows a path.
 * @throws KillswitchError OWNER at somebody else's link, and for `root` wherever others decide.
 */
function follow<Result>(
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
function regular(
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
function reopen(
  { folder, name, distrust }: Walked,
  { descriptor }: NonNullable<Walked['entry']>,
  flags: number,
): number {
  const path = distrust === undefined ? within(folder, name) : `/proc/self/fd/${descriptor}`;
  return openSync(path, flags | AT_ONCE | (distrust === undefined ? constants.O_NOFOLLOW : 0));
}

/**
 * What somebody may take away between a look and a use, as another hook takes a tunnel's file: then
 * there is none.
 */
function unlessGone<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (thrown) {
    if (errno(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** All that an open file holds; closes it. */
function bytesOf(file: number, most: number, inTime: () => void, { size }: Stats): Buffer {
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
 * Folders that were root's alone, with all above them and no link, and when: hooks read many files
 * of few folders.
 */
const judged = new Map<string, number>();
const JUDGED_SECONDS = 1;

/**
 * A file of root's in a folder that was judged a moment ago; `unknown` where it has to be looked
 * at.
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
 * A file's bytes; undefined when there is none.
 * @param single a file with a second name is refused too: where others could once make entries
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

/** Names in a folder, whoever's it is; none when there is no such folder. */
export function listDoor(path: string): readonly string[] {
  return follow(path, 'anybody', ({ folder, name, entry }) => {
    if (name !== '' && entry === undefined) return [];
    return readdirSync(`/proc/self/fd/${(entry ?? folder).descriptor}/`).sort();
  });
}

/**
 * Where a path leads through links that root has set, whether anything is there or not: at most to
 * somebody else's link, which is not followed. Undefined when nothing has that name.
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

/** Owner and mode of an open file or folder, exactly. */
export function settle(
  descriptor: number,
  { uid, gid, mode }: Pick<Stats, 'uid' | 'gid' | 'mode'>,
): void {
  const found = fstatSync(descriptor);
  if (found.uid !== uid || found.gid !== gid) fchownSync(descriptor, uid, gid);
  if ((fstatSync(descriptor).mode & 0o7777) !== mode) fchmodSync(descriptor, mode);
}

/**
 * Makes a folder of root's in another, whatever the umask is, and works in it. One that somebody
 * has made meanwhile is judged.
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

/** Works in a folder that is root's alone. What of it is missing is made. */
function inFolder<Result>(path: string, work: (folder: Folder, root: Stats) => Result): Result {
  return follow(path, 'root', ({ folder, name, entry, rest }, root) => {
    if (name === '') return work(folder, root);
    if (entry === undefined)
      return inNewFolder(folder, [name, ...rest], root, path, (made) => work(made, root));
    return work(enter(folder, name, entry.descriptor, entry.stat, root), root);
  });
}

/** Makes a folder of root's, with those above it. One that is there must be root's alone. */
export function makeFolderDoor(path: string): void {
  inFolder(path, () => undefined);
}

/** Of a folder that was not judged. */
const UNKNOWN: Distrust = { at: '', uid: 0, mode: 0, kind: 'writable' };

/** Removes an entry of a folder, whatever it is, and nothing outside: no link is followed. */
function removeEntry(folder: Folder, name: string, depth = 0): void {
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
  judged.clear();
  follow(dirname(path), 'anybody', ({ folder, name, entry }, root) => {
    const last = path.slice(path.lastIndexOf('/') + 1);
    if (last === '' || last === '..' || last === '.') throw new Error('it names no entry');
    if (name === '') removeEntry(folder, last);
    else if (entry?.stat.isDirectory() === true)
      removeEntry(enter(folder, name, entry.descriptor, entry.stat, root), last);
  });
}

/** A file is written beside its place first, under this and the writer's process id. */
const draftPrefix = (name: string) => `.${name}.`;

/** Removes what writers of this file left that were killed before they could rename it. */
function removeDrafts(folder: Folder, name: string): void {
  // Elsewhere a file of that name is anybody's, and there may be any number of them.
  if (folder.distrust !== undefined || folder.sticky !== undefined) return;
  const prefix = draftPrefix(name);
  for (const each of readdirSync(`/proc/self/fd/${folder.descriptor}/`)) {
    const writer = each.startsWith(prefix) ? each.slice(prefix.length) : '';
    if (/^\d+$/.test(writer) && !isRunning(Number(writer))) removeEntry(folder, each);
  }
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return errno(thrown) !== 'ESRCH';
  }
}

interface Content {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** Writes to the open draft. */
  readonly fill: (descriptor: number) => void;
}

/**
 * Puts a file into a folder whole: a reader sees the old one or the new one, and a power cut leaves
 * one of them.
 */
function put(folder: Folder, name: string, { fill, ...owned }: Content): void {
  removeDrafts(folder, name);
  const draft = within(folder, `${draftPrefix(name)}${process.pid}`);
  const descriptor = openSync(draft, constants.O_WRONLY | NEW, 0o600);
  try {
    try {
      fill(descriptor);
      settle(descriptor, owned);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(draft, within(folder, name));
  } catch (thrown) {
    removeEntry(folder, `${draftPrefix(name)}${process.pid}`);
    throw thrown;
  }
}

const fillWith = (content: string | Uint8Array) => (descriptor: number) =>
  writeFileSync(descriptor, content);

/** Splits the path of a file into its folder and its name there. */
function splitPath(path: string): { readonly folder: string; readonly name: string } {
  return { folder: dirname(path), name: path.slice(path.lastIndexOf('/') + 1) };
}

/**
 * Writes a file of root's in a folder of root's alone, which is made where it is missing, with
 * exactly this mode.
 */
export function writeDoor(path: string, content: string | Uint8Array, mode: number): void {
  const { folder, name } = splitPath(path);
  inFolder(folder, (opened) =>
    put(opened, name, { uid: 0, gid: 0, mode, fill: fillWith(content) }),
  );
}

/**
 * What keeps a file from being replaced: a mount point, as containers have /etc/hosts, or a folder
 * that takes no other file.
 */
const IRREPLACEABLE: readonly (string | undefined)[] = [
  'EBUSY',
  'EXDEV',
  'EROFS',
  'EACCES',
  'EPERM',
];

/**
 * Writes all of it at the beginning of a file that is open for writing, and ends the file there.
 */
function fill(file: number, content: Uint8Array): void {
  for (let written = 0; written < content.length; )
    written += writeSync(file, content, written, content.length - written, written);
  ftruncateSync(file, content.length);
  fsyncSync(file);
}

/**
 * Writes into the file itself, so that all of it stays: its mount, its other names, whatever
 * belongs to it. What it held comes back when that fails half-way.
 */
function overwrite(walked: Walked, entry: NonNullable<Walked['entry']>, content: Uint8Array): void {
  const before = bytesOf(
    reopen(walked, entry, constants.O_RDONLY),
    MOST_OF_ROOTS,
    () => undefined,
    entry.stat,
  );
  const file = reopen(walked, entry, constants.O_WRONLY);
  try {
    fill(file, content);
  } catch (thrown) {
    fill(file, before);
    throw thrown;
  } finally {
    closeSync(file);
  }
}

/**
 * Gives an open file what another one has besides owner, mode and text: its ACL, extended
 * attributes and label. False: it could not.
 */
export type KeepAttributes = (from: number, to: number) => boolean;

/** The attributes of a file could not be given to the one that was to take its place. */
class AttributesError extends Error {}

/**
 * Replaces the text of somebody else's file, or makes one of root's where none is. Owner, mode,
 * attributes and other names stay as they are, and so does its place, also behind root's links or a
 * bind mount.
 */
export function rewriteDoor(path: string, text: string | Uint8Array, keeps: KeepAttributes): void {
  const content = Buffer.from(text);
  follow(path, 'anybody', (walked) => {
    const { folder, name, rest } = walked;
    const entry = regular(path, walked);
    if (name === '' || rest.length > 0) throw new Error('there is no such file');
    if (entry === undefined) {
      put(folder, name, { uid: 0, gid: 0, mode: 0o644, fill: fillWith(content) });
      return;
    }
    const { uid, gid, mode, nlink } = entry.stat;
    if (nlink > 1) {
      overwrite(walked, entry, content);
      return;
    }
    const filled = (draft: number) => {
      if (!keeps(entry.descriptor, draft)) throw new AttributesError();
      writeFileSync(draft, content);
    };
    try {
      // What gives its caller an account is not given to a file that others own.
      put(folder, name, {
        uid,
        gid,
        mode: mode & (walked.distrust === undefined ? 0o7777 : 0o777),
        fill: filled,
      });
    } catch (thrown) {
      if (!(thrown instanceof AttributesError) && !IRREPLACEABLE.includes(errno(thrown)))
        throw thrown;
      overwrite(walked, entry, content);
    }
  });
}

/**
 * Opens a lock's file: root's, and for root alone, because whoever can open a file can hold its
 * lock (flock(2)). Its folder is made so that only root can write to it; a file that is not as it
 * must be is replaced, so that nobody holds the new one.
 */
export function openLockDoor(path: string): number {
  const { folder, name } = splitPath(path);
  const { folder: above, name: own } = splitPath(folder);
  return inFolder(above, (outer, root) =>
    inLockFolder(outer, own, root, (opened) => openLock(opened, name)),
  );
}

/**
 * Only root can have made it, in a folder of root's alone: whatever is wrong with it is put right.
 */
function inLockFolder<Result>(
  above: Folder,
  name: string,
  root: Stats,
  work: (folder: Folder) => Result,
): Result {
  try {
    mkdirSync(within(above, name), { mode: FOLDER_MODE });
  } catch (thrown) {
    if (errno(thrown) !== 'EEXIST') throw thrown;
  }
  const descriptor = openSync(within(above, name), OPEN_FOLDER);
  try {
    const found = fstatSync(descriptor);
    if (!isRoot(found.uid, root)) settle(descriptor, { uid: 0, gid: 0, mode: FOLDER_MODE });
    else if ((found.mode & 0o7777) !== FOLDER_MODE)
      settle(descriptor, { ...found, mode: FOLDER_MODE });
    return work(enter(above, name, descriptor, fstatSync(descriptor), root));
  } finally {
    closeSync(descriptor);
  }
}

const LOCK_MODE = 0o600;

function openLock(folder: Folder, name: string): number {
  for (;;) {
    try {
      const made = openSync(within(folder, name), constants.O_RDWR | NEW, LOCK_MODE);
      settle(made, { uid: 0, gid: 0, mode: LOCK_MODE });
      return made;
    } catch (thrown) {
      if (errno(thrown) !== 'EEXIST') throw thrown;
    }
    const found = openExistingLock(folder, name);
    if (found !== undefined) return found;
    removeEntry(folder, name);
  }
}

/** The lock's file when it is as it must be. */
function openExistingLock(folder: Folder, name: string): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(within(folder, name), constants.O_RDWR | constants.O_NOFOLLOW | AT_ONCE);
  } catch (thrown) {
    // A link, a folder or a socket.
    if (['ELOOP', 'EISDIR', 'ENXIO', 'ENOENT', 'EAGAIN'].includes(errno(thrown) ?? ''))
      return undefined;
    throw thrown;
  }
  const stat = fstatSync(descriptor);
  if (stat.isFile() && stat.uid === 0 && (stat.mode & 0o7777) === LOCK_MODE && stat.nlink === 1)
    return descriptor;
  closeSync(descriptor);
  return undefined;
}

/**
 * Whether a path still leads to this open lock: whoever replaces a wrong one leaves the old one to
 * its holder.
 */
export function isLockAt(path: string, descriptor: number): boolean {
  const held = fstatSync(descriptor);
  return follow(
    path,
    'anybody',
    ({ entry }) => entry?.stat.ino === held.ino && entry.stat.dev === held.dev,
  );
}

/**
 * Opens a log for more lines; undefined when it is not a file that root alone, or this account,
 * keeps.
 */
export function openLogDoor(path: string, mode: number): number | undefined {
  const { folder, name } = splitPath(path);
  try {
    return follow(folder, 'anybody', (walked, root) => {
      if (walked.entry === undefined || !walked.entry.stat.isDirectory()) return undefined;
      const opened = enter(
        walked.folder,
        walked.name,
        walked.entry.descriptor,
        walked.entry.stat,
        root,
      );
      const flags =
        constants.O_WRONLY |
        constants.O_APPEND |
        constants.O_CREAT |
        constants.O_NOFOLLOW |
        AT_ONCE;
      const descriptor = openSync(within(opened, name), flags, mode);
      const stat = fstatSync(descriptor);
      const account = process.geteuid?.();
      if (stat.isFile() && stat.nlink === 1 && (stat.uid === 0 || stat.uid === account)) {
        if (account === 0 && (stat.mode & 0o7777) !== mode) fchmodSync(descriptor, mode);
        return descriptor;
      }
      closeSync(descriptor);
      return undefined;
    });
  } catch {
    return undefined;
  }
}
