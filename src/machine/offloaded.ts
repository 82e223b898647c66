import type { Host } from '../host/host.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';

/** Whether a tunnel's device is one of the kernel's module ovpn, which names its kind (drivers/net/ovpn/main.c). */
export function offloadedOf(host: Host, device: InterfaceName): Pick<Tunnel, 'offloaded'> {
  const lines = host.read(`/sys/class/net/${device}/uevent`)?.split('\n') ?? [];
  return lines.includes('DEVTYPE=ovpn') ? { offloaded: true } : {};
}
