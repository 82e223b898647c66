import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { hasEnded } from '../machine/daemon.ts';
import { devices, isDownDevice, isOvpnDevice } from '../machine/tunnel-device.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import { type LiveTunnel, readLiveTunnels } from './live-tunnels.ts';

export function offloadedOf(host: Host, device: InterfaceName): Pick<Tunnel, 'offloaded'> {
  return isOvpnDevice(host, device) ? { offloaded: true } : {};
}

/**
 * Whether a device of the module ovpn has no peer. After `kill -9` of its OpenVPN the kernel lists
 * it as down, without a carrier (seen with Linux 7.3).
 */
function isIdle(host: Host, device: string): boolean {
  return isOvpnDevice(host, device) && isDownDevice(host, device);
}

function hasOwner(files: Files, { daemon }: LiveTunnel): boolean {
  return daemon === undefined || !hasEnded(files, daemon);
}

/**
 * Returns live tunnels with data channel offload whose OpenVPN has ended and whose device stays
 * without a peer. The kernel keeps the device with its routes. The next connection takes another
 * name and passes nothing.
 */
export function leftBehind(host: Host): readonly LiveTunnel[] {
  return readLiveTunnels(host).filter(
    (live) =>
      live.tunnel.offloaded === true && !hasOwner(host, live) && isIdle(host, live.tunnel.device),
  );
}

/** Lists the module's devices that have no peer and no running OpenVPN. */
export function ownerlessDevices(host: Host): readonly string[] {
  const owned = new Set(
    readLiveTunnels(host).flatMap((live) =>
      hasOwner(host, live) ? [live.tunnel.device as string] : [],
    ),
  );
  return [...devices(host)].filter((device) => !owned.has(device) && isIdle(host, device));
}
