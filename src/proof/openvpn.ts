import { PATHS } from '../host/paths.ts';
import type { Sandbox } from '../host/sandbox.ts';
import { DEVICE, PORTS, VPN } from './addresses.ts';
import { PKI } from './pki.ts';
import type { Transport } from './probes.ts';

export const PROFILE = '/etc/openvpn/client/proof.conf';
export const CONNECTED = 'Initialization Sequence Completed';
/** Said when it has noticed that the server is gone: by silence over UDP, by the closed connection over TCP. */
export const RESTARTING = 'received, process restarting';

/**
 * Seconds between pings, and after which silence each end starts over: short, so that nobody has to wait. `keepalive` would make the server
 * wait twice as long as the client.
 */
const TIMERS = { ping: 1, restart: 3 } as const;

/** Kernel offload came with 2.6 and differs in what it leaves behind; before, the option that switches it off is unknown. */
async function offloadOff(sandbox: Sandbox): Promise<readonly string[]> {
  const { stdout } = await sandbox.ask(['openvpn', '--version']);
  const [, major = 0, minor = 0] = (/^OpenVPN (\d+)\.(\d+)/.exec(stdout) ?? []).map(Number);
  return major > 2 || (major === 2 && minor >= 6) ? ['disable-dco'] : [];
}

function keys(name: 'server' | 'client'): readonly string[] {
  return [`ca ${PKI}/ca.crt`, `cert ${PKI}/${name}.crt`, `key ${PKI}/${name}.key`, `tls-crypt ${PKI}/tc.key`];
}

/** The server's configuration: all IPv4 and IPv6 through the tunnel, its own resolvers. */
export async function serverConfig(sandbox: Sandbox, transport: Transport): Promise<string> {
  return [
    'dev srv0',
    'dev-type tun',
    'topology subnet',
    `server ${VPN.network4} ${VPN.mask4}`,
    `server-ipv6 ${VPN.network6}`,
    // It answers from whichever of its addresses it was asked at.
    ...(transport === 'udp' ? ['multihome'] : []),
    `port ${PORTS.vpn}`,
    `proto ${transport === 'udp' ? 'udp4' : 'tcp4-server'}`,
    ...keys('server'),
    'dh none',
    `ping ${TIMERS.ping}`,
    `ping-restart ${TIMERS.restart}`,
    `push "ping ${TIMERS.ping}"`,
    `push "ping-restart ${TIMERS.restart}"`,
    'push "redirect-gateway def1 ipv6"',
    `push "dhcp-option DNS ${VPN.resolver4}"`,
    `push "dhcp-option DNS ${VPN.resolver6}"`,
    ...(await offloadOff(sandbox)),
    'verb 3',
    '',
  ].join('\n');
}

/** The client's profile, as a user has it; with the switch's three hooks, or without. */
export async function clientProfile(sandbox: Sandbox, transport: Transport, hooks: boolean, remote: string): Promise<string> {
  return [
    'client',
    `dev ${DEVICE}`,
    `proto ${transport === 'udp' ? 'udp4' : 'tcp4-client'}`,
    `remote ${remote} ${PORTS.vpn}`,
    'nobind',
    ...keys('client'),
    'remote-cert-tls server',
    'connect-retry 1 1',
    'server-poll-timeout 2',
    'tls-timeout 1',
    ...(await offloadOff(sandbox)),
    'verb 3',
    ...(hooks ? ['script-security 2', ...['up', 'down', 'route-up'].map((hook) => `${hook} ${PATHS.library}/hooks/${hook}`)] : []),
    '',
  ].join('\n');
}
