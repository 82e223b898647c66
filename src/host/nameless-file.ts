import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { SyncOptions } from 'execa';
import { PATHS } from './paths.ts';

/** Bytes: more than any tool here prints. */
const OUTPUT_ROOM = 16 * 1024 * 1024;
/**
 * O_TMPFILE on top of O_DIRECTORY: one number on every architecture that Node runs on
 * (linux/asm-generic/fcntl.h). Node has no name for it.
 */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** execa takes any descriptor, but its types name only the first ones. */
type Descriptor = Extract<SyncOptions['stdout'], number>;
type InputDescriptor = Extract<SyncOptions['stdin'], number>;

/**
 * Opens a file without a name for a child's output; undefined where that is impossible. Through a
 * pipe Node would wake up for each of the hundreds of words that nft writes one by one.
 */
export function outputFile(): Descriptor | undefined {
  try {
    // A listing that a full disk cuts off would look like one with fewer rules.
    const { bavail, bsize } = statfsSync(dirname(PATHS.runtime));
    if (bavail * bsize < OUTPUT_ROOM) return undefined;
    return openSync(dirname(PATHS.runtime), O_TMPFILE | constants.O_RDWR, 0o600) as Descriptor;
  } catch {
    return undefined;
  }
}

/**
 * Opens a file without a name with this text, as a child's stdin; undefined where that is
 * impossible. node:child_process would pass a socket, which nft before 0.9.9 cannot open as
 * /dev/stdin.
 */
export function inputFile(text: string): InputDescriptor | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(dirname(PATHS.runtime), O_TMPFILE | constants.O_RDWR, 0o600);
    const bytes = Buffer.from(text);
    // Written at an offset (pwrite(2)): the file position, which the child shares, stays at the
    // beginning.
    for (let written = 0; written < bytes.length; )
      written += writeSync(descriptor, bytes, written, bytes.length - written, written);
    return descriptor as InputDescriptor;
  } catch {
    // The file system has no such files, or no room.
    if (descriptor !== undefined) closeSync(descriptor);
    return undefined;
  }
}

/** Returns everything written to it, and closes it. */
export function takeText(descriptor: number): string {
  try {
    const bytes = Buffer.alloc(fstatSync(descriptor).size);
    // The child's writes have moved the shared position to the end.
    return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}
