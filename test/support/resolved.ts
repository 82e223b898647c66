import type { Service } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { type DnsWorld, ISP_RESOLVER, UPLINK } from './dns-world.ts';

/** The uplink's resolver, as a network manager would tell it: preferred for every name. */
export const PREFER_UPLINK = `resolvectl dns ${UPLINK} ${ISP_RESOLVER}; resolvectl domain ${UPLINK} '~.'
  resolvectl llmnr ${UPLINK} no; resolvectl default-route ${UPLINK} yes
  until resolvectl status ${UPLINK} | grep -q 'Current Scopes: DNS'; do sleep 0.05; done`;

/**
 * systemd-resolved with a system bus of its own, as its unit starts it. An earlier one, as before a
 * power cut, is ended.
 */
export async function startResolved(world: DnsWorld, running: Service[]): Promise<Service> {
  for (const service of running.splice(0)) await service.end('KILL');
  await world.sh(
    'mkdir -p /run/dbus; rm -f /run/dbus/pid; dbus-uuidgen --ensure; install -d -o systemd-resolve -g systemd-resolve /run/systemd/resolve',
  );
  running.push(world.start('bus', 'dbus-daemon', '--system', '--nofork', '--nopidfile'));
  await waitUntil(
    'the bus',
    async () =>
      (await world.sandbox.ask(['test', '-S', '/run/dbus/system_bus_socket'])).status === 0,
  );
  const resolved = world.start('resolved', '/lib/systemd/systemd-resolved');
  running.push(resolved);
  await waitUntil(
    () => `systemd-resolved: ${resolved.said()}`,
    async () => (await world.sandbox.ask(['resolvectl', 'status'])).status === 0,
  );
  return resolved;
}
