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

/** Bytes: more than any tool here ever says. */
const OUTPUT_ROOM = 16 * 1024 * 1024;
/**
 * O_TMPFILE on top of O_DIRECTORY: one number on every architecture that Node runs on
 * (linux/asm-generic/fcntl.h). Node has no name for it.
 */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** execa takes any descriptor; its types name the first ones alone. */
type Descriptor = Extract<SyncOptions['stdout'], number>;
type InputDescriptor = Extract<SyncOptions['stdin'], number>;

/**
 * A file without a name, for what a child says; undefined where none can be had. Through a pipe
 * Node would wake up for each of the hundreds of words that nft writes one by one.
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
 * A file without a name that a child reads this text from as its stdin; undefined where none can be
 * had. Through node:child_process it would be a socket, which nft before 0.9.9 cannot open as
 * /dev/stdin.
 */
export function inputFile(text: string): InputDescriptor | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(dirname(PATHS.runtime), O_TMPFILE | constants.O_RDWR, 0o600);
    const bytes = Buffer.from(text);
    // At a place of its own (pwrite(2)): the position, which the child shares, stays at the
    // beginning.
    for (let written = 0; written < bytes.length; )
      written += writeSync(descriptor, bytes, written, bytes.length - written, written);
    return descriptor as InputDescriptor;
  } catch {
    // No such files here, or no room for it.
    if (descriptor !== undefined) closeSync(descriptor);
    return undefined;
  }
}

/** All that was written to it; closes it. */
export function takeText(descriptor: number): string {
  try {
    const bytes = Buffer.alloc(fstatSync(descriptor).size);
    // The child has moved the position, which both share, to the end.
    return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}
