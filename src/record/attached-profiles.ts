import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { field, parseJson, texts } from '../machine/json.ts';

const FILE = `${PATHS.state}/attached.json`;

/**
 * Reads the paths of the profiles that `attach` has written to: the rules may open their servers.
 */
export function attachedProfiles(files: Files): readonly string[] {
  return texts(field(parseJson(files.read(FILE) ?? ''), 'profiles'), (text) => text) ?? [];
}

function write(files: Files, profiles: readonly string[]): void {
  if (profiles.length === 0) files.remove(FILE);
  else files.write(FILE, `${JSON.stringify({ version: 1, profiles }, null, 1)}\n`);
}

export function keepAttached(files: Files, paths: readonly string[]): void {
  write(files, [...new Set([...attachedProfiles(files), ...paths])].sort());
}

export function forgetAttached(files: Files, paths: readonly string[]): void {
  write(
    files,
    attachedProfiles(files).filter((path) => !paths.includes(path)),
  );
}
