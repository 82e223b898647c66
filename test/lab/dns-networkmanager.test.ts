import type { Service } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { type DnsWorld, ISP_RESOLVER } from '../support/dns-world.ts';
import { specifyResolvers } from './resolvers.ts';

const running: Service[] = [];

/** Without udev it manages devices only where it may not write to /sys, as in containers. */
const CONFIGURATION = `
mount -o remount,bind,ro /sys
mkdir -p /run/dbus /etc/NetworkManager/conf.d /etc/NetworkManager/system-connections
rm -f /run/dbus/pid
dbus-uuidgen --ensure
printf '[main]\\nplugins=keyfile\\nno-auto-default=*\\n' >/etc/NetworkManager/conf.d/test.conf
cat >/etc/NetworkManager/system-connections/uplink.nmconnection <<'END'
[connection]
id=uplink
uuid=5d6bd1ed-1b7f-4b6c-9c27-6f8a2c6d0b11
type=ethernet
interface-name=up0
[ipv4]
method=manual
address1=198.51.100.2/24,198.51.100.1
dns=${ISP_RESOLVER};
[ipv6]
method=disabled
END
chmod 600 /etc/NetworkManager/system-connections/uplink.nmconnection
`;

/** NetworkManager with a system bus of its own, until it has written /etc/resolv.conf. */
async function startNetworkManager(world: DnsWorld): Promise<void> {
  for (const service of running.splice(0)) await service.end('KILL');
  await world.sh(CONFIGURATION);
  running.push(world.start('bus', 'dbus-daemon', '--system', '--nofork', '--nopidfile'));
  await waitUntil(
    'the bus',
    async () =>
      (await world.sandbox.ask(['test', '-S', '/run/dbus/system_bus_socket'])).status === 0,
  );
  const manager = world.start('manager', 'NetworkManager', '--no-daemon');
  running.push(manager);
  await waitUntil(
    () => `NetworkManager: ${manager.said()}`,
    async () => (await world.sandbox.ask(['nmcli', 'connection', 'up', 'uplink'])).status === 0,
    30_000,
  );
}

specifyResolvers({
  title: 'NetworkManager, which writes /etc/resolv.conf',
  root: 'dns-networkmanager',
  start: startNetworkManager,
  prepare: `rm -f /etc/resolv.conf; nmcli connection up uplink >/dev/null; grep -q 'nameserver ${ISP_RESOLVER}' /etc/resolv.conf`,
  setBy: ['networkmanager'],
});
