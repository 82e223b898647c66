import { type DispatcherCall, dispatcherCall } from '../support/dispatcher-calls.ts';
import { BUILT_COMMAND, type Machine, must } from './installed-machine.ts';

export const DISPATCHER_FOLDER = '/etc/NetworkManager/dispatcher.d';
export const DISPATCHER_NAME = '00-ovpn-killswitch';
const CONNECTIONS = '/etc/NetworkManager/system-connections';
export const SETTINGS = ['KILLSWITCH_BACKEND=nftables'];

/** A first connect, and the end of a VPN whose OpenVPN was killed. */
export const CONNECT = dispatcherCall('nm-1.42-vpn-up-01-pre-up.d-tun0-vpn-pre-up.env');
export const CRASH = dispatcherCall('nm-1.42-openvpn-kill9-02-dispatcher.d-up0-vpn-down.env');
export const UUID = CONNECT.env['CONNECTION_UUID'] ?? '';

/** Has NetworkManager keep a VPN connection. */
export function keepConnection(machine: Machine, uuid: string, plugin = 'openvpn'): void {
  const vpn = `service-type=org.freedesktop.NetworkManager.${plugin}\nremote=203.0.113.10:1194:udp, 203.0.113.11:443:tcp\n`;
  machine.write(
    `${CONNECTIONS}/${uuid}.nmconnection`,
    `[connection]\nid=feasvpn\nuuid=${uuid}\ntype=vpn\n\n[vpn]\n${vpn}`,
  );
}

/** A machine with NetworkManager's folders, on which the product is installed for it. */
export function installForNetworkManager(machine: Machine): void {
  machine.write('/etc/NetworkManager/NetworkManager.conf', '');
  must(machine.run(process.execPath, BUILT_COMMAND, 'install', '--networkmanager'));
  // Its devices are those of this network namespace, which the sandbox's own /sys does not show.
  must(machine.sh('mount -t sysfs -o ro sysfs /sys'));
  keepConnection(machine, UUID);
}

/**
 * One call of the dispatcher, as NetworkManager makes it: by the script, with the variables of the
 * capture and no others.
 */
export function dispatch(
  machine: Machine,
  { argv, env }: Pick<DispatcherCall, 'argv' | 'env'>,
  folder = DISPATCHER_FOLDER,
) {
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  return machine.run('/usr/bin/env', '-i', ...variables, `${folder}/${DISPATCHER_NAME}`, ...argv);
}

/** The devices that pass now. */
export function liveDevices(machine: Machine): readonly string[] {
  return machine.status().tunnels.map(({ device }) => device);
}

export function addDevice(machine: Machine): void {
  must(machine.run('ip', 'tuntap', 'add', 'dev', 'tun0', 'mode', 'tun'));
}

export function deleteDevice(machine: Machine): void {
  machine.run('ip', 'link', 'delete', 'tun0');
}

/** Forgets every tunnel, and locks anew. */
export function startOver(machine: Machine): void {
  deleteDevice(machine);
  machine.sh('rm -rf /run/ovpn-killswitch/networkmanager');
  machine.relock(...SETTINGS);
}
