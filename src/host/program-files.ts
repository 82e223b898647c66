import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Files that root runs: they and their folders belong to root and nobody else can write to them, whatever the umask is. */

function rootOwned(path: string, mode: number): void {
  chownSync(path, 0, 0);
  chmodSync(path, mode);
}

export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  rootOwned(path, 0o755);
}

/** Puts a file in its place whole: what runs meanwhile keeps the old one. */
function place(path: string, mode: number, fill: (draft: string) => void): void {
  const draft = `${path}.${process.pid}.new`;
  fill(draft);
  rootOwned(draft, mode);
  renameSync(draft, path);
}

export function placeText(path: string, text: string | Uint8Array, mode: number): void {
  place(path, mode, (draft) => {
    const descriptor = openSync(draft, 'w', 0o600);
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
    closeSync(descriptor);
  });
}

export function placeCopy(path: string, from: string, mode: number): void {
  place(path, mode, (draft) => copyFileSync(from, draft));
}

export function placeLink(path: string, target: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.new`;
  symlinkSync(target, draft);
  renameSync(draft, path);
}

/** The folder this very program lies in: `dist` after a build, or where it is installed. */
export function ownFolder(): string {
  return dirname(realpathSync(process.argv[1] ?? ''));
}

/** The Node that runs this program, without symbolic links. */
export function runningInterpreter(): string {
  return realpathSync(process.execPath);
}

/** The first of these files that is there. */
export function firstFile(paths: readonly string[]): string | undefined {
  return paths.find(existsSync);
}

export function textOf(path: string): string {
  return readFileSync(path, 'utf8');
}
