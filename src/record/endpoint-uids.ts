import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { uidOf } from '../machine/account.ts';
import { unitAccounts } from '../machine/openvpn-units.ts';
import type { Settings } from '../policy/settings.ts';
import type { Profile } from '../tunnel/profile.ts';

/**
 * Returns the accounts whose packets may go to the endpoints: those that the settings name, or with
 * `auto` root and the users of the profiles and of OpenVPN's units.
 * @throws KillswitchError SETTINGS when the settings name an unknown user.
 */
export function endpointUids(
  files: Files,
  settings: Settings,
  profiles: readonly Profile[],
): readonly number[] {
  const { endpointOwner } = settings;
  switch (endpointOwner.kind) {
    case 'any':
    case 'mark':
      return [];
    case 'root':
      return [0];
    case 'user': {
      const uid = uidOf(files, endpointOwner.name);
      if (uid === undefined)
        throw new KillswitchError(
          'SETTINGS',
          `${PATHS.settings}: KILLSWITCH_ENDPOINT_OWNER names the user ${endpointOwner.name}, who is not in ${PATHS.passwd}`,
          'Name an account of this machine, or its number: user:1001',
        );
      return [uid];
    }
    case 'auto': {
      const users = [
        ...profiles.flatMap(({ user }) => (user === undefined ? [] : [user])),
        ...unitAccounts(files),
      ];
      return [0, ...users.flatMap((user) => uidOf(files, user) ?? [])];
    }
    default:
      return endpointOwner satisfies never;
  }
}
