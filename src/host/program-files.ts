import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { settle } from './follow.ts';

/**
 * Makes folders for files that root runs. They belong to root and nobody else can write to them,
 * whatever the umask is.
 */

export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  const descriptor = openSync(
    path,
    constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
  );
  try {
    settle(descriptor, { uid: 0, gid: 0, mode: 0o755 });
  } finally {
    closeSync(descriptor);
  }
}

/** Whether a file holds this already, as `placeText` would leave it. */
function isPlaced(path: string, text: string | Uint8Array, mode: number): boolean {
  if (!existsSync(path)) return false;
  const there = lstatSync(path);
  const isOurs = there.isFile() && there.uid === 0 && there.gid === 0;
  return isOurs && (there.mode & 0o7777) === mode && readFileSync(path).equals(Buffer.from(text));
}

/**
 * Replaces a file whole: a running program keeps the old one. Leaves a file alone that holds the
 * same.
 */
export function placeText(path: string, text: string | Uint8Array, mode: number): void {
  if (isPlaced(path, text, mode)) return;
  const draft = `${path}.${process.pid}.new`;
  rmSync(draft, { force: true });
  const descriptor = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(descriptor, text);
    settle(descriptor, { uid: 0, gid: 0, mode });
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(draft, path);
}

export function placeCopy(path: string, from: string, mode: number): void {
  placeText(path, readFileSync(from), mode);
}

/** Makes a link beside the place that it is for, and returns its path. */
function draftLink(path: string, target: string): string {
  const draft = `${path}.${process.pid}.new`;
  rmSync(draft, { force: true });
  symlinkSync(target, draft);
  return draft;
}

export function placeLink(path: string, target: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true)
    if (readlinkSync(path) === target) return;
  renameSync(draftLink(path, target), path);
}

/**
 * Replaces a file or a folder with all in it by a link, or leaves it whole. A folder cannot be
 * replaced in one step: for a moment nothing is there.
 * @throws Error of the file system, with the old file or folder in its place.
 */
export function replaceByLink(path: string, target: string): void {
  const draft = draftLink(path, target);
  const old = `${path}.${process.pid}.old`;
  try {
    renameSync(path, old);
  } catch (thrown) {
    rmSync(draft, { force: true });
    throw thrown;
  }
  try {
    renameSync(draft, path);
  } catch (thrown) {
    renameSync(old, path);
    rmSync(draft, { force: true });
    throw thrown;
  }
  rmSync(old, { recursive: true });
}

/** Returns the file of this very program, without symbolic links. */
export function ownProgram(): string {
  return realpathSync(process.argv[1] ?? '');
}

/** Returns the folder of this very program: `dist` after a build, or its installed place. */
export function ownFolder(): string {
  return dirname(realpathSync(process.argv[1] ?? ''));
}

/** Returns the Node that runs this program, without symbolic links. */
export function runningInterpreter(): string {
  return realpathSync(process.execPath);
}

/** Returns the first of these files that exists. */
export function firstFile(paths: readonly string[]): string | undefined {
  return paths.find(existsSync);
}

export function textOf(path: string): string {
  return readFileSync(path, 'utf8');
}

/**
 * Says why others than root could replace a file or folder; undefined when they could not. It must
 * belong to root, with every folder above it. `path` has no links.
 */
export function replaceableByOthers(path: string): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    const { uid, mode } = lstatSync(at);
    if (uid !== 0) return `${at} does not belong to root`;
    // In a folder with the sticky bit, such as /tmp, no other account can replace an entry of
    // root's.
    const sticky = (mode & 0o1000) !== 0 && at !== path;
    if ((mode & 0o022) !== 0 && !sticky) return `non-root users can write to ${at}`;
    if (at === '/') return undefined;
  }
}
