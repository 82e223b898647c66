import { orElse } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import type { ConnectionUuid } from '../tunnel/networkmanager-event.ts';
import { readVpnConnection, type VpnConnection } from '../tunnel/networkmanager-profile.ts';
import type { Profile } from '../tunnel/profile.ts';

/**
 * NetworkManager's folders of connections: people's, those in memory or from netplan, and the
 * distribution's (nm-settings-keyfile(5)).
 */
const FOLDERS = [
  '/etc/NetworkManager/system-connections',
  '/run/NetworkManager/system-connections',
  '/usr/lib/NetworkManager/system-connections',
] as const;

/**
 * Reads a connection. Skips a keyfile that vanished, is no regular file, or is not root's alone:
 * NetworkManager also refuses another owner's.
 */
function read(files: Files, file: string): VpnConnection | undefined {
  return orElse(
    () => readVpnConnection(files.read(file) ?? ''),
    () => undefined,
    'FILES',
    'OWNER',
  );
}

/**
 * Lists every VPN connection of NetworkManager, of any plugin. Two files of one connection both
 * count: either may be in use.
 */
export function vpnConnections(files: Files): readonly VpnConnection[] {
  return FOLDERS.flatMap((folder) =>
    files.list(folder).flatMap((name) => read(files, `${folder}/${name}`) ?? []),
  );
}

/** Returns an event's connection, from the file that NetworkManager named, else from any folder. */
export function vpnConnection(
  files: Files,
  uuid: ConnectionUuid,
  file: string | undefined,
): VpnConnection | undefined {
  const named = file === undefined ? undefined : read(files, file);
  return named?.uuid === uuid ? named : vpnConnections(files).find((each) => each.uuid === uuid);
}

/** An OpenVPN connection. */
export type GuardedConnection = VpnConnection & { readonly profile: Profile };

/**
 * Lists the OpenVPN connections whose tunnels our dispatcher script reports; none where it is not
 * installed.
 */
export function guardedConnections(files: Files): readonly GuardedConnection[] {
  if (!files.exists(PATHS.dispatcher)) return [];
  return vpnConnections(files).flatMap(({ uuid, name, profile }) =>
    profile === undefined ? [] : [{ uuid, name, profile }],
  );
}
