import { linkSync, readFileSync, renameSync } from 'node:fs';
import { draftName } from './draft.ts';
import { errno } from './errno.ts';
import { inFolder } from './folder-door.ts';
import { splitPath } from './follow.ts';
import { forgetJudged } from './read-door.ts';
import { removeEntry } from './remove-door.ts';
import { within } from './walk.ts';

/** Runs a call, and returns whether it met none of these errors. */
function without(codes: readonly string[], call: () => void): boolean {
  try {
    call();
    return true;
  } catch (thrown) {
    if (codes.includes(errno(thrown) ?? '')) return false;
    throw thrown;
  }
}

/**
 * Removes a file of a folder of root's alone if its text is the expected one. Takes the file aside
 * first: no text that another process writes meanwhile is lost. Returns whether it was removed.
 */
export function removeIfDoor(path: string, isExpected: (text: string) => boolean): boolean {
  forgetJudged();
  const { folder, name } = splitPath(path);
  return inFolder(folder, (opened) => {
    const aside = draftName(name);
    const [from, to] = [within(opened, name), within(opened, aside)];
    if (!without(['ENOENT'], () => renameSync(from, to))) return false;
    try {
      if (isExpected(readFileSync(to, 'utf8'))) return true;
      // A file that was written since is the newer one.
      without(['EEXIST'], () => linkSync(to, from));
      return false;
    } finally {
      removeEntry(opened, aside);
    }
  });
}
