import type { Host } from '../host/host.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { printable } from '../net/printable.ts';
import { leftBehind } from '../record/offloaded.ts';

/** Removes a device of data channel offload, with its routes. Logs the command when that fails. */
export function removeDevice(host: Host, device: InterfaceName): void {
  const { status, stderr } = host.run({
    program: 'ip',
    args: ['link', 'delete', 'dev', device],
    changes: 'device',
  });
  const removed = status === 0;
  const why = printable(stderr.trim().split('\n')[0] ?? '') || 'ip did not end well';
  host.log({
    level: 'warn',
    event: 'tunnel-stale',
    message: removed
      ? `${device}: removed the device that its OpenVPN left behind`
      : `${device}: its OpenVPN left the device behind, which could not be removed (${why}): sudo ip link delete dev ${device}`,
  });
}

/**
 * Removes the devices that an OpenVPN with data channel offload left when it was killed. `except`
 * is the device that the running hook reports.
 */
export function removeLeftDevices(host: Host, except?: InterfaceName): void {
  for (const { tunnel } of leftBehind(host))
    if (tunnel.device !== except) removeDevice(host, tunnel.device);
}
