import { PATHS } from '../host/paths.ts';
import type { Sandbox } from '../host/sandbox.ts';
import type { Family } from '../net/address.ts';
import { DEVICE, PORTS, VPN } from './addresses.ts';
import { PKI } from './pki.ts';
import type { Transport } from './probes.ts';

export const PROFILE = '/etc/openvpn/client/proof.conf';
export const CONNECTED = 'Initialization Sequence Completed';
/** Logged by a server, and by a peer that waits for the other: it accepts connections. */
export const LISTENING = 'link remote: [AF_UNSPEC]';
/**
 * Logged when it has noticed that the server is gone: by silence over UDP, by the closed connection
 * over TCP.
 */
export const RESTARTING = 'received, process restarting';

/**
 * Seconds between pings, and of silence before each end starts over: short, so that tests need not
 * wait. `keepalive` would make the server wait twice as long as the client.
 */
const TIMERS = { ping: 1, restart: 3 } as const;

/**
 * Returns the option that switches kernel offload off. Offload came with 2.6 and differs in what it
 * leaves behind; earlier versions do not know the option.
 */
async function offloadOff(sandbox: Sandbox): Promise<readonly string[]> {
  const { stdout } = await sandbox.ask(['openvpn', '--version']);
  const [, major = 0, minor = 0] = (/^OpenVPN (\d+)\.(\d+)/.exec(stdout) ?? []).map(Number);
  return major > 2 || (major === 2 && minor >= 6) ? ['disable-dco'] : [];
}

function keys(name: 'server' | 'client'): readonly string[] {
  return [
    `ca ${PKI}/ca.crt`,
    `cert ${PKI}/${name}.crt`,
    `key ${PKI}/${name}.key`,
    `tls-crypt ${PKI}/tc.key`,
  ];
}

/** The settings that both ends must agree on; a missing part is that of the proof's own VPN. */
interface Plan {
  readonly transport?: Transport;
  /** Between client and server, outside the tunnel. */
  readonly family?: Family;
  /** Lines that say who may connect, instead of certificates. */
  readonly trust?: readonly string[];
  /** Any further lines. */
  readonly more?: readonly string[];
  /**
   * Whether the kernel may send and receive the data (data channel offload), where OpenVPN and the
   * kernel can; else it is switched off.
   */
  readonly offload?: boolean;
}

export interface ServerPlan extends Plan {
  /** Lines for the server's device and the addresses in the tunnel. */
  readonly tunnel?: readonly string[];
  /** Options pushed to clients, each in the words of a profile. */
  readonly pushes?: readonly string[];
}

export interface ClientPlan extends Plan {
  /** Lines for the client's device, and the source of its addresses in the tunnel. */
  readonly tunnel?: readonly string[];
}

type Planned<P extends Plan> = P & { readonly transport: Transport };

const SERVER_TUNNEL: readonly string[] = [
  'dev srv0',
  'dev-type tun',
  'topology subnet',
  `server ${VPN.network4} ${VPN.mask4}`,
  `server-ipv6 ${VPN.network6}`,
];

/** Without the server's timers a client would not soon notice that the server is gone. */
export const PUSHED_TIMERS: readonly string[] = [
  `ping ${TIMERS.ping}`,
  `ping-restart ${TIMERS.restart}`,
];

/**
 * Plans a server that waits so many seconds for a silent client, and the client for it. A client
 * sends nothing while its hooks run.
 */
export function waitingServer(seconds: number): ServerPlan {
  const restart = `ping-restart ${Math.max(seconds, TIMERS.restart)}`;
  return { pushes: [...PUSHES, restart], more: [restart] };
}

/** All IPv4 and IPv6 through the tunnel, its own resolvers. */
export const PUSHES: readonly string[] = [
  ...PUSHED_TIMERS,
  'redirect-gateway def1 ipv6',
  `dhcp-option DNS ${VPN.resolver4}`,
  `dhcp-option DNS ${VPN.resolver6}`,
];

function proto({ transport, family = 'ipv4' }: Planned<Plan>, end: 'server' | 'client'): string {
  const version = family === 'ipv4' ? 4 : 6;
  return `proto ${transport === 'udp' ? `udp${version}` : `tcp${version}-${end}`}`;
}

/** Renders the server's configuration. */
export async function serverConfig(sandbox: Sandbox, plan: Planned<ServerPlan>): Promise<string> {
  const {
    transport,
    tunnel = SERVER_TUNNEL,
    trust = [...keys('server'), 'dh none'],
    pushes = PUSHES,
    more = [],
    offload = false,
  } = plan;
  return [
    ...tunnel,
    // It answers from the address at which it was asked.
    ...(transport === 'udp' ? ['multihome'] : []),
    `port ${PORTS.vpn}`,
    proto(plan, 'server'),
    ...trust,
    `ping ${TIMERS.ping}`,
    `ping-restart ${TIMERS.restart}`,
    ...pushes.map((option) => `push "${option}"`),
    ...(offload ? [] : await offloadOff(sandbox)),
    'verb 3',
    ...more,
    '',
  ].join('\n');
}

/** Renders the client's profile, as a user has it; with the switch's three hooks, or without. */
export async function clientProfile(
  sandbox: Sandbox,
  hooks: boolean,
  remote: string,
  plan: Planned<ClientPlan>,
): Promise<string> {
  const {
    tunnel = ['client', `dev ${DEVICE}`],
    trust = [...keys('client'), 'remote-cert-tls server', 'tls-timeout 1'],
    more = [],
    offload = false,
  } = plan;
  return [
    ...tunnel,
    proto(plan, 'client'),
    `remote ${remote} ${PORTS.vpn}`,
    'nobind',
    ...trust,
    'connect-retry 1 1',
    'server-poll-timeout 2',
    ...(offload ? [] : await offloadOff(sandbox)),
    'verb 3',
    ...more,
    ...(hooks
      ? [
          'script-security 2',
          ...['up', 'down', 'route-up'].map((hook) => `${hook} ${PATHS.library}/hooks/${hook}`),
        ]
      : []),
    '',
  ].join('\n');
}
