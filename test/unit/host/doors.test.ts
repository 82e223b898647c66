import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openLockDoor } from '../../../src/host/lock-door.ts';
import { placeDoor, readDoor } from '../../../src/host/read-door.ts';
import { removeDoor } from '../../../src/host/remove-door.ts';
import { rewriteDoor } from '../../../src/host/rewrite-door.ts';
import { writeDoor } from '../../../src/host/write-door.ts';

/**
 * Folders need their real owners: root alone can make them. Below /run, where only root can write.
 */
const asRoot = process.geteuid?.() === 0;
const USER = 12345;
const SECRET = 'SECRET-OF-ROOT';
const inTime = () => undefined;
const KEEPS = () => true;

let base = '';
let folder = '';
let secret = '';
let count = 0;
beforeAll(() => {
  if (!asRoot) return;
  base = mkdtempSync('/run/door-');
  chmodSync(base, 0o755);
  secret = `${base}/secret`;
});
beforeEach(() => {
  if (!asRoot) return;
  writeFileSync(secret, SECRET);
  chmodSync(secret, 0o600);
  // A new one each time: what was judged is believed for a second.
  folder = `${base}/${count++}`;
  mkdirSync(folder);
});
afterAll(() => {
  if (base !== '') rmSync(base, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
});

const readsAsRoot = (path: string) => () => readDoor(path, 'root', inTime);
const textOf = (path: string, who: 'root' | 'anybody') => readDoor(path, who, inTime)?.toString();

describe.skipIf(!asRoot)('the door to files', () => {
  test('reads a file of root, and finds none where none is', () => {
    writeFileSync(`${folder}/x`, 'text');
    expect(textOf(`${folder}/x`, 'root')).toBe('text');
    expect(textOf(`${folder}/y`, 'root')).toBeUndefined();
    expect(textOf(`${folder}/x/y`, 'root')).toBeUndefined();
  });

  test('refuses what non-root users can change, the file or a folder above, with who and how', () => {
    writeFileSync(`${folder}/x`, 'text');
    chownSync(`${folder}/x`, USER, 0);
    expect(readsAsRoot(`${folder}/x`)).toThrow(
      `${folder}/x belongs to uid ${USER}, who can change it`,
    );
    chownSync(`${folder}/x`, 0, 0);
    chmodSync(`${folder}/x`, 0o664);
    expect(readsAsRoot(`${folder}/x`)).toThrow('(mode 0664)');
    mkdirSync(`${folder}/below`);
    writeFileSync(`${folder}/below/x`, 'text');
    chmodSync(`${folder}/below`, 0o1777);
    expect(readsAsRoot(`${folder}/below/x`)).toThrow(
      `non-root users can write to ${folder}/below (mode 1777)`,
    );
    expect(() => writeDoor(`${folder}/below/new`, '', 0o644)).toThrow(`${folder}/below`);
    expect(existsSync(`${folder}/below/new`)).toBe(false);
  });

  test('follows a link of root in a folder of root, and no other', () => {
    writeFileSync(`${folder}/x`, 'text');
    symlinkSync('x', `${folder}/link`);
    expect(textOf(`${folder}/link`, 'root')).toBe('text');
    expect(placeDoor(`${folder}/link`)).toBe(`${folder}/x`);
    lchownSync(`${folder}/link`, USER, USER);
    expect(() => textOf(`${folder}/link`, 'anybody')).toThrow(
      `${folder}/link is a symbolic link of uid ${USER}`,
    );
    symlinkSync('loop', `${folder}/loop`);
    expect(() => textOf(`${folder}/loop`, 'root')).toThrow('too many symbolic links');
  });

  test('makes folders and files with exact mode and owner under umask 000', () => {
    const umask = process.umask(0);
    try {
      writeDoor(`${folder}/a/b/x`, 'text', 0o640);
    } finally {
      process.umask(umask);
    }
    expect(
      [`${folder}/a`, `${folder}/a/b`, `${folder}/a/b/x`].map(
        (path) => statSync(path).mode & 0o7777,
      ),
    ).toEqual([0o755, 0o755, 0o640]);
  });

  test('rewrites a file of a user and leaves owner and mode, without the bits that give an account', () => {
    chownSync(folder, USER, USER);
    writeFileSync(`${folder}/x`, 'old');
    chownSync(`${folder}/x`, USER, USER);
    chmodSync(`${folder}/x`, 0o4640);
    rewriteDoor(`${folder}/x`, 'new', KEEPS);
    const { uid, gid, mode } = statSync(`${folder}/x`);
    expect([uid, gid, mode & 0o7777, readFileSync(`${folder}/x`, 'utf8')]).toEqual([
      USER,
      USER,
      0o640,
      'new',
    ]);
  });

  test('replaces a lock that others can open, and keeps one that is right', () => {
    const path = `${folder}/run/lock`;
    mkdirSync(`${folder}/run`, 0o777);
    chmodSync(`${folder}/run`, 0o777);
    writeFileSync(path, '');
    chmodSync(path, 0o644);
    // An open descriptor keeps its inode.
    const held = openSync(path, 'r');
    const before = fstatSync(held).ino;
    openLockDoor(path);
    const { ino, mode } = lstatSync(path);
    expect([ino === before, mode & 0o7777, lstatSync(`${folder}/run`).mode & 0o7777]).toEqual([
      false,
      0o600,
      0o755,
    ]);
    openLockDoor(path);
    expect(lstatSync(path).ino).toBe(ino);
    closeSync(held);
  });

  test('removes a folder with a link in it, and nothing that the link leads to', () => {
    mkdirSync(`${folder}/t`);
    symlinkSync(base, `${folder}/t/out`);
    removeDoor(`${folder}/t`);
    expect(existsSync(`${folder}/t`)).toBe(false);
    expect(existsSync(secret)).toBe(true);
  });
});

test.runIf(asRoot)(
  'a file that comes and goes meanwhile is whole or not there, and never an error',
  () => {
    const path = `${base}/tun0`;
    const script = `while :; do printf whole >${path}.new; mv ${path}.new ${path}; rm ${path}; done`;
    const other = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
    try {
      const seen = Array.from({ length: 3000 }, () => textOf(path, 'anybody'));
      expect([...new Set(seen)].filter((text) => text !== undefined && text !== 'whole')).toEqual(
        [],
      );
    } finally {
      // With the program that it is running.
      if (other.pid !== undefined) process.kill(-other.pid, 'SIGKILL');
    }
  },
);
