import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { field, parseJson, texts } from '../machine/json.ts';

const FILE = `${PATHS.state}/attached.json`;

/**
 * Reads the paths of the profiles that `attach` has written to: the rules may open their servers.
 */
export function attachedProfiles(host: Host): readonly string[] {
  return texts(field(parseJson(host.read(FILE) ?? ''), 'profiles'), (text) => text) ?? [];
}

function write(host: Host, profiles: readonly string[]): void {
  if (profiles.length === 0) host.remove(FILE);
  else host.write(FILE, `${JSON.stringify({ version: 1, profiles }, null, 1)}\n`);
}

export function keepAttached(host: Host, paths: readonly string[]): void {
  write(host, [...new Set([...attachedProfiles(host), ...paths])].sort());
}

export function forgetAttached(host: Host, paths: readonly string[]): void {
  write(
    host,
    attachedProfiles(host).filter((path) => !paths.includes(path)),
  );
}
