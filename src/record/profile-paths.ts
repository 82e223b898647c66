import type { Host } from '../host/host.ts';
import type { Settings } from '../policy/settings.ts';
import { attachedProfiles } from './attached-profiles.ts';
import { expandPattern } from './expand-pattern.ts';
import { readFormerRecords } from './former-tunnels.ts';
import { readLiveTunnels } from './live-tunnels.ts';

/**
 * Returns the profiles of connected and reconnecting clients: a lock without their servers would
 * cut them off.
 */
function clientProfiles(host: Host): readonly string[] {
  const clients = [
    ...readLiveTunnels(host),
    ...readFormerRecords(host).filter(({ kind }) => kind === 'reconnecting'),
  ];
  return clients.flatMap(({ profile }) => profile ?? []);
}

/**
 * Returns the existing profiles that the settings name, that `attach` changed, or whose client
 * runs.
 */
export function profilePaths(host: Host, settings: Settings): readonly string[] {
  const attached = attachedProfiles(host).filter((path) => host.exists(path));
  const named = new Set([
    ...settings.profiles.flatMap((pattern) => expandPattern(host, pattern)),
    ...attached,
  ]);
  const isNamed = (path: string) =>
    named.has(path) || [...named].some((each) => host.place(each) === path);
  return [
    ...new Set([
      ...named,
      ...clientProfiles(host).filter((path) => host.exists(path) && !isNamed(path)),
    ]),
  ];
}
