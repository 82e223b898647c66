import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';

/**
 * Notes the values that this product set in a program. The program loses them at a reboot, and so
 * does the note: a file of lines, which the recover script reads too.
 */
export type NoteName = 'resolved' | 'openresolv' | 'resolvconf' | 'networkmanager';

export function pathOf(name: NoteName): string {
  return `${PATHS.runtime}/dns/${name}`;
}

export function readNote(files: Files, name: NoteName): string | undefined {
  return files.read(pathOf(name));
}

/**
 * Call before the program is told: after a crash in between, `restore` takes back too much, which
 * does no harm.
 */
export function writeNote(files: Files, name: NoteName, text: string): void {
  files.write(pathOf(name), text);
}

export function removeNote(files: Files, name: NoteName): void {
  files.remove(pathOf(name));
}
