import { orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { ConnectionUuid } from '../tunnel/networkmanager-event.ts';
import { readVpnConnection, type VpnConnection } from '../tunnel/networkmanager-profile.ts';
import type { Profile } from '../tunnel/profile.ts';

/**
 * Where NetworkManager keeps connections: those of people, those in memory or made by netplan,
 * those of the distribution (nm-settings-keyfile(5)).
 */
const FOLDERS = [
  '/etc/NetworkManager/system-connections',
  '/run/NetworkManager/system-connections',
  '/usr/lib/NetworkManager/system-connections',
] as const;

/**
 * A keyfile that is gone by now, no file at all, or not root's alone is no connection:
 * NetworkManager takes none of another owner's.
 */
function read(host: Host, file: string): VpnConnection | undefined {
  return orElse(
    () => readVpnConnection(host.read(file) ?? ''),
    () => undefined,
    'FILES',
    'OWNER',
  );
}

/**
 * Every VPN connection that NetworkManager keeps, of whichever plugin. Two files of one connection
 * both count: either may be in use.
 */
export function vpnConnections(host: Host): readonly VpnConnection[] {
  return FOLDERS.flatMap((folder) =>
    host.list(folder).flatMap((name) => read(host, `${folder}/${name}`) ?? []),
  );
}

/**
 * The connection of an event, from the file that NetworkManager named, else from wherever it is.
 */
export function vpnConnection(
  host: Host,
  uuid: ConnectionUuid,
  file: string | undefined,
): VpnConnection | undefined {
  const named = file === undefined ? undefined : read(host, file);
  return named?.uuid === uuid ? named : vpnConnections(host).find((each) => each.uuid === uuid);
}

/** An OpenVPN connection. */
export type GuardedConnection = VpnConnection & { readonly profile: Profile };

/**
 * The OpenVPN connections whose tunnels our dispatcher script reports; none where it is not
 * installed.
 */
export function guardedConnections(host: Host): readonly GuardedConnection[] {
  if (!host.exists(PATHS.dispatcher)) return [];
  return vpnConnections(host).flatMap(({ uuid, name, profile }) =>
    profile === undefined ? [] : [{ uuid, name, profile }],
  );
}
