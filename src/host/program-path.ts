import { accessSync, constants } from 'node:fs';
import { PROGRAM_FOLDERS } from './paths.ts';

/**
 * Returns a program's path, in the first of the fixed folders that has it; undefined when none has.
 */
export function programPath(program: string): string | undefined {
  return PROGRAM_FOLDERS.map((folder) => `${folder}/${program}`).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
