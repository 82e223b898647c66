import { type KillswitchError, orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { printable } from '../net/printable.ts';
import { shellWord } from '../net/shell-word.ts';
import type { Settings } from '../policy/settings.ts';
import { type Profile, readProfile, unreachedRemotes, unreachedText } from '../tunnel/profile.ts';
import { profilePaths } from './profile-paths.ts';

/**
 * Says why a profile was not read, and the fix. Rules would open its servers, so only root may name
 * them.
 */
function unreadWhy(path: string, { code, message, detail }: KillswitchError): string {
  if (code !== 'OWNER') return printable(detail.join('; '));
  return `${message}; to use a copy of root's: ovpn-killswitch attach --copy ${shellWord(path)}`;
}

/**
 * Reads the profiles. Returns also a line for each unreadable profile, and one for each server that
 * stays shut.
 */
export function readProfiles(
  host: Host,
  settings: Settings,
): { readonly profiles: readonly Profile[]; readonly unread: readonly string[] } {
  const unread: string[] = [];
  const profiles = profilePaths(host, settings).flatMap((path) =>
    orElse(
      () => {
        const profile = readProfile(host.read(path) ?? '');
        unread.push(...unreachedRemotes(profile).map((each) => unreachedText(path, each)));
        return [profile];
      },
      (error) => {
        unread.push(`${printable(path)} was not read: ${unreadWhy(path, error)}`);
        return [];
      },
    ),
  );
  return { profiles, unread };
}
