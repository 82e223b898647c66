import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ERASE = '\r\x1b[K';
const SOURCE = fileURLToPath(new URL('../../src/', import.meta.url));

/**
 * Says warnings beside a line that is drawn all the time, then answers, and stays for longer than
 * the line needs to be drawn.
 */
const PROGRAM = `
import { writeSync } from 'node:fs';
import { progressLine } from './host/progress-line.ts';
const line = progressLine(80);
line.show('working');
const start = process.hrtime.bigint();
const seconds = () => Number(process.hrtime.bigint() - start) / 1e9;
let warnings = 0;
while (seconds() < 3) line.beside(() => writeSync(1, 'warning ' + ++warnings + '\\n'));
line.instead(() => writeSync(1, 'answer\\n'));
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);
line.instead(() => writeSync(1, 'end\\n'));
`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'progress-'));
  const options = { bundle: true, platform: 'node', target: 'node18', format: 'cjs' } as const;
  buildSync({
    ...options,
    stdin: { contents: PROGRAM, resolveDir: SOURCE, loader: 'ts' },
    outfile: join(folder, 'program.js'),
  });
  buildSync({
    ...options,
    entryPoints: [join(SOURCE, 'host/progress-thread.ts')],
    outfile: join(folder, 'progress.js'),
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('what a program says and the line a thread draws never share a line of the terminal', () => {
  const command = `${process.execPath} ${join(folder, 'program.js')}`;
  const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  expect(status).toBe(0);
  // Each drawing is a piece of its own: whatever comes next erases it first.
  const pieces = stdout.split(ERASE);
  const drawings = pieces.filter((piece) => /^[|/\\-]/.test(piece));
  expect(drawings.length).toBeGreaterThan(0);
  expect(drawings.filter((piece) => !/^[|/\\-] working, \d s\r$/.test(piece))).toEqual([]);
  const said = pieces.filter((piece) => !drawings.includes(piece)).join('');
  const lines = said.split('\r\n');
  expect(lines.slice(-3)).toEqual(['answer', 'end', '']);
  expect(lines.slice(0, -3).filter((line, index) => line !== `warning ${index + 1}`)).toEqual([]);
  expect(lines.length).toBeGreaterThan(1000);
  // Nothing is drawn once the answer has begun.
  expect(stdout).toMatch(/answer\r\nend\r\n$/);
});
