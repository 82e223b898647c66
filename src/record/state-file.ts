import { dirname } from 'node:path';
import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { type Parsed, parseState, type Schema } from '../machine/schema.ts';
import { printable } from '../net/printable.ts';

/**
 * Says why a state file is refused: another account wrote it, or could. Undefined when only root
 * could.
 */
function distrust(files: Files, path: string): string | undefined {
  const owned = files.owner(path);
  if (owned === undefined) return undefined;
  if (owned.kind !== 'file') return 'it is no regular file';
  if (owned.uid !== 0) return `uid ${owned.uid} wrote it, not root`;
  return (owned.mode & 0o022) === 0
    ? undefined
    : `non-root users may write it (mode ${owned.mode.toString(8)})`;
}

/**
 * Whether only root can write to a folder. Otherwise the file door's error names the folder to
 * close.
 */
export function isRoots(files: Files, folder: string): boolean {
  const owned = files.owner(folder);
  return owned === undefined || (owned.uid === 0 && (owned.mode & 0o022) === 0);
}

/**
 * Reads a state file that root wrote; undefined when there is none. Refuses a file that another
 * account wrote or could have written.
 * @throws KillswitchError FILES when it cannot be read, OWNER when others can write to a folder
 * above it.
 */
export function stateText(files: Files, path: string): Parsed<string> | undefined {
  const refused = distrust(files, path);
  if (refused !== undefined && isRoots(files, dirname(path))) return { refused };
  try {
    const value = files.read(path);
    return value === undefined ? undefined : { value };
  } catch (thrown) {
    // A failed read, as with a full file table, may succeed later, so it is no refusal. A folder
    // that others can write to is not the file's fault: the error says how to close it.
    if (!(thrown instanceof KillswitchError) || thrown.code === 'FILES' || thrown.code === 'OWNER')
      throw thrown;
    return { refused: printable(thrown.message) };
  }
}

/** Reads a state file by its schema; undefined when there is none. */
export function readState<Value>(
  files: Files,
  path: string,
  schema: Schema<Value>,
): Parsed<Value> | undefined {
  const text = stateText(files, path);
  return text === undefined || 'refused' in text ? text : parseState(text.value, schema);
}

/**
 * Reads a state file's fact; undefined when there is none or it is refused. For facts without which
 * less passes.
 */
export function stateOrNothing<Value>(
  files: Files,
  path: string,
  schema: Schema<Value>,
): Value | undefined {
  const read = readState(files, path, schema);
  return read !== undefined && 'value' in read ? read.value : undefined;
}
