import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { cacheFile, idOf } from '../../../src/launch/cache-file.ts';
import { type CodeCache, fittingData, interpreterFacts } from '../../../src/launch/code-cache.ts';

const folder = mkdtempSync(join(tmpdir(), 'code-cache-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PATH = join(folder, 'hooks.cache');
const NODE = join(folder, 'node');
const PROGRAM = 'the program of the hooks';
const DATA = Buffer.from(Array.from({ length: 999 }, (_, index) => index % 251));
const FILE = cacheFile(DATA);

writeFileSync(NODE, 'an interpreter');
const cache: CodeCache = {
  path: PATH,
  id: idOf(DATA),
  program: PROGRAM.length,
  ...interpreterFacts(NODE),
};

/** The outcome when the file holds these bytes. */
function read(file: Uint8Array, known = cache, program = PROGRAM): Buffer | undefined {
  writeFileSync(PATH, file);
  return fittingData(known, program, NODE);
}

describe('a code cache', () => {
  test('is what was put into its file', () => {
    expect(read(FILE)?.equals(DATA)).toBe(true);
  });

  test('with any one bit of its file flipped is not taken', () => {
    fc.assert(
      fc.property(fc.nat(FILE.length - 1), fc.nat(7), (at, bit) => {
        const damaged = Buffer.from(FILE);
        damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << bit), at);
        expect(read(damaged)).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test('cut off anywhere is not taken', () => {
    fc.assert(
      fc.property(fc.nat(FILE.length - 1), (length) => {
        expect(read(FILE.subarray(0, length))).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });

  test('that another install has made is not taken', () => {
    expect(read(cacheFile(Buffer.concat([DATA, DATA])))).toBeUndefined();
  });

  test('of another program, or of another Node, is not taken', () => {
    expect(read(FILE, cache, `${PROGRAM};`)).toBeUndefined();
    expect(read(FILE, { ...cache, node: 'v20.0.0' })).toBeUndefined();
    expect(read(FILE, { ...cache, size: cache.size + 1 })).toBeUndefined();
  });

  test('is not taken once the interpreter was replaced', () => {
    utimesSync(NODE, 1, 1);
    expect(read(FILE)).toBeUndefined();
    expect(read(FILE, { ...cache, ...interpreterFacts(NODE) })?.equals(DATA)).toBe(true);
  });

  test('that is not there is not taken', () => {
    expect(fittingData({ ...cache, path: join(folder, 'nothing') }, PROGRAM, NODE)).toBeUndefined();
  });
});
