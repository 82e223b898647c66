import { createHash } from 'node:crypto';

/** Returns the SHA-256 of a code cache, in hexadecimal. */
export function idOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/**
 * Returns the file of a code cache: the data twice, then its id. memcmp(3) compares two copies in
 * no time. A checksum of half a megabyte would take milliseconds in code that V8 has only begun to
 * run. Or it would need a module that hooks use for nothing else.
 */
export function cacheFile(data: Buffer): Buffer {
  return Buffer.concat([data, data, Buffer.from(idOf(data), 'latin1')]);
}
