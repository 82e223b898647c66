import { fillWith, put } from './draft.ts';
import { inFolder } from './folder-door.ts';
import { splitPath } from './follow.ts';

/**
 * Writes a file of root's in a folder of root's alone, with exactly this mode. Makes a missing
 * folder.
 */
export function writeDoor(path: string, content: string | Uint8Array, mode: number): void {
  const { folder, name } = splitPath(path);
  inFolder(folder, (opened) =>
    put(opened, name, { uid: 0, gid: 0, mode, fill: fillWith(content) }),
  );
}
