import { parseAddress } from '../../src/net/address.ts';
import { parseEndpoint } from '../../src/net/endpoint.ts';
import { parseInterfaceName } from '../../src/net/interface-name.ts';
import { parseNetwork } from '../../src/net/network.ts';
import { parseSession } from '../../src/net/session.ts';
import { type Base, baseOf, decide, type Policy } from '../../src/policy/policy.ts';
import { readSettings, type Settings, type SettingsKey } from '../../src/policy/settings.ts';
import { settingsText } from '../../src/policy/settings-text.ts';
import type { FormerTunnel } from '../../src/tunnel/former-tunnel.ts';
import type { Tunnel } from '../../src/tunnel/tunnel.ts';

function known<Value>(text: string, value: Value | undefined): Value {
  if (value === undefined) throw new TypeError(`"${text}" does not parse`);
  return value;
}

const all = <Value>(
  texts: readonly string[],
  parse: (text: string) => Value | undefined,
): readonly Value[] => texts.map((text) => known(text, parse(text)));

/**
 * Settings as the text of a settings file gives them.
 * @throws TypeError with every problem of it.
 */
export function settingsOf(values: Partial<Record<SettingsKey, string>>): Settings {
  const text = Object.entries(values)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
  const read = readSettings(settingsText(text));
  if ('issues' in read) throw new TypeError(JSON.stringify(read.issues));
  return read.settings;
}

/** The uid that stands for the account of a VPN client that gave up root. */
export const CLIENT_UID = 65534;
/** The firewall mark of the policies that know a client by its mark. */
export const CLIENT_MARK = 0xca6c;

/** The base of some settings; the account `nobody` is {@link CLIENT_UID}. */
export function baseWith(values: Partial<Record<SettingsKey, string>>): Base {
  const settings = settingsOf(values);
  const uids = { auto: [0, CLIENT_UID], root: [0], user: [CLIENT_UID], mark: [], any: [] }[
    settings.endpointOwner.kind
  ];
  return baseOf(settings, { endpoints: [], uids });
}

/** A tunnel, written down as texts. */
export interface TunnelFacts {
  readonly device: string;
  readonly endpoints?: readonly string[];
  readonly addresses?: readonly string[];
  readonly resolvers?: readonly string[];
  readonly networks?: readonly string[];
}

export function tunnelOf({
  device,
  endpoints = [],
  addresses = [],
  resolvers = [],
  networks = [],
}: TunnelFacts): Tunnel {
  return {
    device: known(device, parseInterfaceName(device)),
    endpoints: all(endpoints, parseEndpoint),
    addresses: all(addresses, parseAddress),
    resolvers: all(resolvers, parseAddress),
    networks: all(networks, parseNetwork),
  };
}

/** A tunnel that is not live any more. */
export function formerOf(
  kind: FormerTunnel['kind'],
  { device, addresses, networks }: Tunnel,
): FormerTunnel {
  return {
    kind,
    device: kind === 'remembered' ? undefined : device,
    addresses: kind === 'remembered' ? [] : addresses,
    networks: kind === 'ended' ? [] : networks,
  };
}

/** The same policy beside tunnels that are not live any more. */
function beside(policy: Policy, ...former: readonly FormerTunnel[]): Policy {
  return { ...policy, former };
}

function policy(
  values: Partial<Record<SettingsKey, string>>,
  ...tunnels: readonly Tunnel[]
): Policy {
  return decide(baseWith(values), tunnels);
}

const ENDPOINTS = '203.0.113.10:1194/udp,203.0.113.10:443/tcp,[2001:db8:10::10]:1194/udp';
const known4and6 = { KILLSWITCH_ENDPOINTS: ENDPOINTS } as const;

/** tun0 with IPv4 and IPv6, resolvers and routed networks. */
export const TUN0: Tunnel = tunnelOf({
  device: 'tun0',
  endpoints: ['203.0.113.10:1194/udp'],
  addresses: ['10.8.0.6', 'fd00:8::6'],
  resolvers: ['10.8.0.1', 'fd00:8::1'],
  networks: ['10.8.0.0/24', '10.50.0.0/16', 'fd00:8::/64', 'fd50::/48'],
});
/** tun1, to another server over TCP. */
export const TUN1: Tunnel = tunnelOf({
  device: 'tun1',
  endpoints: ['203.0.113.20:443/tcp'],
  addresses: ['10.9.0.6', 'fd00:9::6'],
  resolvers: ['10.9.0.1'],
  networks: ['10.9.0.0/24', 'fd00:9::/64'],
});
const IPV4_ONLY: Tunnel = tunnelOf({
  device: 'tun0',
  endpoints: ['203.0.113.10:1194/udp'],
  addresses: ['10.8.0.6'],
  resolvers: ['10.8.0.1'],
  networks: ['10.8.0.0/24', '10.50.0.0/16'],
});
const IN_THE_LAN: Tunnel = tunnelOf({
  device: 'tun0',
  endpoints: ['192.168.77.10:1194/udp'],
  addresses: ['192.168.77.130', 'fd77::130'],
  resolvers: ['192.168.77.129'],
  networks: ['192.168.77.128/25', 'fd77::128/121'],
});

/** Sixteen ports and a range: more than one multiport match of iptables holds. */
const MANY_PORTS = [
  ...Array.from({ length: 16 }, (_, index) => `${2000 + index * 10}/tcp`),
  '7000-7100/tcp',
  '123/udp',
].join(',');
const LAN_LIST =
  '192.168.77.0/25,192.168.78.5:8080/tcp,192.168.78.5:6000-6010/udp,fd77::/64,fd78::5:631/tcp';

/** From the internet to the machine's address on the LAN, and the same with IPv6. */
function withSessions(blocked: Policy): Policy {
  const sessions = all(
    ['198.51.100.80 40000 192.168.77.2 22', '2001:db8:80::80 40000 fd77::2 22'],
    parseSession,
  );
  return { ...blocked, base: { ...blocked.base, sessions } };
}

/**
 * A portal for the client's own account, which the probes of the kernel's tests have too, and names
 * for another one.
 */
function withPortal(blocked: Policy): Extract<Policy, { state: 'portal' }> {
  return {
    state: 'portal',
    base: blocked.base,
    former: [],
    portal: {
      uid: CLIENT_UID,
      uplink: known('eth0', parseInterfaceName('eth0')),
      networks: all(['192.168.77.1', '192.168.77.0/24', '198.51.100.7'], parseNetwork),
      resolvers: all(['192.168.77.1'], parseAddress),
      askers: [CLIENT_UID, 1000],
      from: 1_000_000_000,
      until: 2_100_000_000,
    },
  };
}

/** Every kind of policy there is, under a name that says what is special about it. */
export const POLICIES = {
  'blocked, no endpoint': policy({}),
  'blocked, endpoints of both families': policy(known4and6),
  'blocked, forty endpoints': policy({
    KILLSWITCH_ENDPOINTS: Array.from(
      { length: 40 },
      (_, index) => `203.0.113.${index + 1}:${1194 + (index % 3)}/udp`,
    ).join(','),
  }),
  'blocked, SSH sessions kept': withSessions(policy({ ...known4and6, KILLSWITCH_LAN: 'off' })),
  'portal, LAN off': withPortal(policy({ ...known4and6, KILLSWITCH_LAN: 'off' })),
  'portal, an endpoint in its network': withPortal(
    policy({
      KILLSWITCH_ENDPOINTS: '192.168.77.9:443/tcp,192.168.77.1:53/udp',
      KILLSWITCH_ENDPOINT_OWNER: 'root',
      KILLSWITCH_LAN: 'off',
      KILLSWITCH_REFUSE: 'reject',
    }),
  ),
  'blocked, LAN off': policy({ ...known4and6, KILLSWITCH_LAN: 'off' }),
  'blocked, LAN a list with services': policy({ ...known4and6, KILLSWITCH_LAN: LAN_LIST }),
  'blocked, LAN a list with services, ports open to it': policy({
    ...known4and6,
    KILLSWITCH_LAN: LAN_LIST,
    KILLSWITCH_LAN_INBOUND: '22/tcp,5353/udp',
  }),
  'blocked, ports open to the LAN': policy({
    ...known4and6,
    KILLSWITCH_LAN_INBOUND: '22/tcp,8000-8100/tcp,53/udp',
  }),
  'blocked, many ports open to the LAN': policy({ KILLSWITCH_LAN_INBOUND: MANY_PORTS }),
  'blocked, resolvers on the LAN': policy({
    ...known4and6,
    KILLSWITCH_LAN_DNS: '192.168.77.1,fd77::1',
  }),
  'blocked, endpoints for root': policy({ ...known4and6, KILLSWITCH_ENDPOINT_OWNER: 'root' }),
  'blocked, endpoints for one user': policy({
    ...known4and6,
    KILLSWITCH_ENDPOINT_OWNER: 'user:nobody',
  }),
  'blocked, endpoints for a mark': policy({
    ...known4and6,
    KILLSWITCH_ENDPOINT_OWNER: `mark:0x${CLIENT_MARK.toString(16)}`,
  }),
  'blocked, endpoints for anybody': policy({ ...known4and6, KILLSWITCH_ENDPOINT_OWNER: 'any' }),
  'blocked, an endpoint inside the LAN': policy({
    KILLSWITCH_ENDPOINTS: '192.168.77.9:1194/udp,[fd77::9]:443/tcp',
  }),
  'blocked, no IPv6': policy({ ...known4and6, KILLSWITCH_IPV6: 'block' }),
  'blocked, refusing with an answer': policy({ ...known4and6, KILLSWITCH_REFUSE: 'reject' }),
  'blocked, an endpoint inside the LAN, refusing with an answer': policy({
    KILLSWITCH_ENDPOINTS: '192.168.77.9:1194/udp,192.168.77.9:443/tcp,[fd77::9]:443/tcp',
    KILLSWITCH_REFUSE: 'reject',
  }),
  'blocked, logging drops': policy({ ...known4and6, KILLSWITCH_LOG_DROPS: '10/minute' }),
  'blocked, forwarding': policy({ ...known4and6, KILLSWITCH_FORWARD: 'docker0,virbr0' }),
  'blocked, a tunnel reconnects': beside(policy(known4and6), formerOf('reconnecting', TUN0)),
  'blocked, a tunnel has ended': beside(policy(known4and6), formerOf('ended', TUN0)),
  'blocked, a network of the LAN remembered': beside(
    policy(known4and6),
    formerOf('remembered', IN_THE_LAN),
  ),
  'blocked, LAN a list, its network remembered': beside(
    policy({ ...known4and6, KILLSWITCH_LAN: LAN_LIST }),
    formerOf('remembered', IN_THE_LAN),
  ),
  'connected, another tunnel reconnects': beside(
    policy(known4and6, TUN1),
    formerOf('reconnecting', TUN0),
    formerOf('remembered', TUN0),
  ),
  'connected, a former tunnel had the same address': beside(
    policy({ ...known4and6, KILLSWITCH_LOG_DROPS: '5/second', KILLSWITCH_REFUSE: 'reject' }, TUN0),
    formerOf('reconnecting', { ...TUN1, addresses: TUN0.addresses }),
  ),
  connected: policy(known4and6, TUN0),
  'connected, tunnel without IPv6': policy(known4and6, IPV4_ONLY),
  'connected, an offloaded tunnel': policy(
    { ...known4and6, KILLSWITCH_FORWARD: 'docker0' },
    { ...TUN0, offloaded: true },
  ),
  'connected, an offloaded tunnel, refusing with an answer': policy(
    { ...known4and6, KILLSWITCH_ENDPOINT_OWNER: 'root', KILLSWITCH_REFUSE: 'reject' },
    { ...TUN0, offloaded: true },
  ),
  'connected, no resolvers': policy(known4and6, { ...TUN0, resolvers: [] }),
  'connected, resolvers from the settings': policy(
    { ...known4and6, KILLSWITCH_DNS: '9.9.9.9,2620:fe::fe' },
    TUN0,
  ),
  'connected, endpoint unknown': policy(known4and6, { ...TUN0, endpoints: [] }),
  'connected, two tunnels': policy(known4and6, TUN0, TUN1),
  'connected, tunnel inside the LAN': policy(known4and6, IN_THE_LAN),
  'connected, the LAN routed into the tunnel': policy(
    known4and6,
    tunnelOf({
      device: 'tun0',
      endpoints: ['203.0.113.10:1194/udp'],
      addresses: ['10.8.0.6'],
      resolvers: ['10.8.0.1'],
      networks: ['10.8.0.0/24', '192.168.0.0/16', 'fd77::/64'],
    }),
  ),
  'connected, the longest device name': policy(known4and6, {
    ...IPV4_ONLY,
    device: tunnelOf({ device: 'tunnel.to_abc-1' }).device,
  }),
  'connected, LAN off': policy({ ...known4and6, KILLSWITCH_LAN: 'off' }, TUN0),
  'connected, no IPv6': policy({ ...known4and6, KILLSWITCH_IPV6: 'block' }, TUN0),
  'connected, some ports through the tunnel': policy(
    { ...known4and6, KILLSWITCH_TUNNEL_PORTS: '443/tcp,80/tcp,993/tcp,3478/udp' },
    TUN0,
  ),
  'connected, ports open to the tunnel': policy(
    { ...known4and6, KILLSWITCH_TUNNEL_INBOUND: '22/tcp,6881-6889/udp' },
    TUN0,
  ),
  'connected, some ports through the tunnel, others open to it': policy(
    {
      ...known4and6,
      KILLSWITCH_TUNNEL_PORTS: '443/tcp',
      KILLSWITCH_TUNNEL_INBOUND: '22/tcp,6881-6889/udp',
    },
    TUN0,
  ),
  'connected, forwarding': policy({ ...known4and6, KILLSWITCH_FORWARD: 'docker0,virbr0' }, TUN0),
  'connected, forwarding by a pattern': policy(
    { ...known4and6, KILLSWITCH_FORWARD: 'dock*,virbr0' },
    TUN0,
  ),
  'connected, forwarding some ports': policy(
    {
      ...known4and6,
      KILLSWITCH_FORWARD: 'docker0',
      KILLSWITCH_TUNNEL_PORTS: '443/tcp,80/tcp',
      KILLSWITCH_REFUSE: 'reject',
    },
    IPV4_ONLY,
    TUN1,
  ),
  'connected, refusing with an answer': policy(
    { ...known4and6, KILLSWITCH_REFUSE: 'reject' },
    IPV4_ONLY,
  ),
  'connected, logging drops': policy({ ...known4and6, KILLSWITCH_LOG_DROPS: '5/second' }, TUN0),
  'connected, everything at once': policy(
    {
      KILLSWITCH_ENDPOINTS: `${ENDPOINTS},192.168.77.9:1194/udp`,
      KILLSWITCH_LAN: LAN_LIST,
      KILLSWITCH_LAN_INBOUND: '22/tcp,8000-8100/tcp,53/udp',
      KILLSWITCH_LAN_DNS: '192.168.77.1,fd77::1',
      KILLSWITCH_TUNNEL_PORTS: '443/tcp,80/tcp,5000-5010/udp',
      KILLSWITCH_TUNNEL_INBOUND: '6881-6889/udp,6881/tcp',
      KILLSWITCH_FORWARD: 'docker0,virbr0',
      KILLSWITCH_REFUSE: 'reject',
      KILLSWITCH_LOG_DROPS: '100/hour',
    },
    IPV4_ONLY,
    TUN1,
  ),
} as const satisfies Record<string, Policy>;
export type PolicyName = keyof typeof POLICIES;
export const POLICY_NAMES = Object.keys(POLICIES) as readonly PolicyName[];
