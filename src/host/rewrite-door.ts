import { closeSync, constants, fsyncSync, ftruncateSync, writeFileSync, writeSync } from 'node:fs';
import { fillWith, put } from './draft.ts';
import { errno } from './errno.ts';
import { follow, regular, reopen } from './follow.ts';
import { bytesOf, MOST_OF_ROOTS } from './read-door.ts';
import type { Walked } from './walk.ts';

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
