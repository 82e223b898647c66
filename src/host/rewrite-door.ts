import { closeSync, constants, fsyncSync, ftruncateSync, writeFileSync, writeSync } from 'node:fs';
import { fillWith, put } from './draft.ts';
import { errno } from './errno.ts';
import { follow, regular, reopen } from './follow.ts';
import { bytesOf, MOST_OF_ROOTS } from './read-door.ts';
import type { Walked } from './walk.ts';

/**
 * Errors of a file that cannot be replaced: a mount point, as containers have /etc/hosts, or a
 * folder that takes no other file.
 */
const IRREPLACEABLE: readonly (string | undefined)[] = [
  'EBUSY',
  'EXDEV',
  'EROFS',
  'EACCES',
  'EPERM',
];

/** Writes the content at the beginning of an open file, and truncates the file there. */
function fill(file: number, content: Uint8Array): void {
  for (let written = 0; written < content.length; )
    written += writeSync(file, content, written, content.length - written, written);
  ftruncateSync(file, content.length);
  fsyncSync(file);
}

/**
 * Writes into the file itself, which keeps its mount, its other names and its attributes. Restores
 * the previous content when that fails half-way.
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
 * Copies an open file's ACL, extended attributes and label to another. Returns false when it could
 * not.
 */
export type KeepAttributes = (from: number, to: number) => boolean;

/** Thrown when a file's attributes could not be copied to its replacement. */
class AttributesError extends Error {}

/**
 * Replaces the text of another account's file, or makes one of root's where none is. Owner, mode,
 * attributes and other names stay. So does its place, also behind root's links or a bind mount.
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
      // Bits that give a caller another account are not set on a file that others own.
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
