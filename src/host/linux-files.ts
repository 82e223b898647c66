import { existsSync, lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { errno } from './errno.ts';
import type { Files, Owned } from './files.ts';
import { files } from './files-error.ts';
import { PATHS } from './paths.ts';
import { listDoor, placeDoor, readDoor } from './read-door.ts';
import { removeDoor } from './remove-door.ts';
import { removeIfDoor } from './remove-if-door.ts';
import { type KeepAttributes, rewriteDoor } from './rewrite-door.ts';
import type { RunProgram } from './run-program.ts';
import { writeDoor } from './write-door.ts';

/** Limit of files in one run whose attributes a process of its own copies. */
const MOST_COPIES = 50;

function unlessMissing<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (thrown) {
    if (errno(thrown) === 'ENOENT' || errno(thrown) === 'ENOTDIR') return undefined;
    throw thrown;
  }
}

/**
 * Paths of files that the kernel itself makes: no account can put a file there. Excludes the
 * entries through which a path leads out again.
 */
const KERNEL = /^\/(proc|sys)(\/|$)(?!.*\/(cwd|root|exe|fd|map_files|task|\.\.)(\/|$))/;

/** Folders whose files only root has made, each with one name. */
const OWN = [`${PATHS.runtime}/`, `${PATHS.state}/`] as const;

function kindOf(stat: Stats): Owned['kind'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'folder';
  return stat.isSymbolicLink() ? 'link' : 'other';
}

function ownerOf(path: string): Owned | undefined {
  const found = unlessMissing(() => lstatSync(path));
  return found && { uid: found.uid, mode: found.mode & 0o7777, kind: kindOf(found) };
}

/**
 * Uses cp(1) of GNU coreutils: Node has no calls for attributes. Any other cp fails with an
 * error.
 */
function attributeKeeper(run: RunProgram): KeepAttributes {
  let copied = 0;
  return (from, to) => {
    // Thousands of profiles are written in place instead, which also keeps the attributes.
    if (++copied > MOST_COPIES) return false;
    const [source, target] = [from, to].map(
      (descriptor) => `/proc/${process.pid}/fd/${descriptor}`,
    );
    const args = ['--attributes-only', '--preserve=all,xattr', '--', source ?? '', target ?? ''];
    return run({ program: 'cp', args }).status === 0;
  };
}

/** Files as Linux has them. `inTime` throws when the time is up. */
export function linuxFiles(run: RunProgram, inTime: () => void): Files {
  const bytes = (path: string): Buffer | undefined =>
    files('read', path, () => {
      if (KERNEL.test(path)) return unlessMissing(() => readFileSync(path));
      const isOwn = OWN.some((folder) => path.startsWith(folder));
      return readDoor(path, 'root', inTime, isOwn);
    });
  const keepAttributes = attributeKeeper(run);
  return {
    exists: existsSync,
    owner: (path) => files('look at', path, () => ownerOf(path)),
    place: (path) => files('follow', path, () => placeDoor(path)),
    read: (path) => bytes(path)?.toString('utf8'),
    readBytes: bytes,
    readUntrusted: (path) => files('read', path, () => readDoor(path, 'anybody', inTime)),
    list: (folder) =>
      files('list', folder, () =>
        KERNEL.test(folder) ? (unlessMissing(() => readdirSync(folder)) ?? []) : listDoor(folder),
      ),
    write: (path, text, mode = 0o644) => files('write', path, () => writeDoor(path, text, mode)),
    rewrite: (path, text) => files('rewrite', path, () => rewriteDoor(path, text, keepAttributes)),
    remove: (path) => files('remove', path, () => removeDoor(path)),
    removeIf: (path, isExpected) => files('remove', path, () => removeIfDoor(path, isExpected)),
  };
}
