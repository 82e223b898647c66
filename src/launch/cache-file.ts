import { createHash } from 'node:crypto';

/** SHA-256 of a code cache, in hexadecimal. */
export function idOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/**
 * The file of a code cache: the data twice, then its id. Two copies are compared by memcmp(3) in no
 * time, where a sum over half a megabyte takes milliseconds in code that V8 has only just begun to
 * run, or a module that hooks need for nothing else.
 */
export function cacheFile(data: Buffer): Buffer {
  return Buffer.concat([data, data, Buffer.from(idOf(data), 'latin1')]);
}
