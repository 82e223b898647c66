import { type Address, FAMILIES, type Family } from '../net/address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { contains, disjoint, type Network, networkOf } from '../net/network.ts';
import {
  onlyPort,
  type Port,
  type PortRange,
  type Service,
  TRANSPORTS,
  type Transport,
} from '../net/port.ts';
import {
  DHCP,
  DNS_PORT,
  ECHO_REQUEST,
  ENCRYPTED_DNS_PORT,
  ICMP_ERRORS,
  ICMPV6,
  LINK_LOCAL_IPV6,
  LINK_MULTICAST_IPV6,
  LLMNR_PORT,
  LOCAL_MULTICAST,
  LOOPBACK,
  NEIGHBOUR_NETWORKS,
  REASSEMBLY_EXCEEDED,
  WEB_PORTS,
} from '../net/well-known.ts';
import type { Base } from '../policy/policy.ts';
import type { Portal } from '../policy/portal.ts';
import type { FormerTunnel } from '../tunnel/former-tunnel.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import type { Match, Rule, RuleId, Verdict } from './ruleset.ts';

/**
 * Seconds that the LAN may take to answer a question to many. It is the longest wait in SSDP (UPnP
 * Device Architecture 2.0, 1.3.2: MX), and one more.
 */
const ANSWER_SECONDS = 6;

const NEAR: readonly Network[] = [...LINK_LOCAL_IPV6, ...LINK_MULTICAST_IPV6];
const RESOLVER_PORTS: readonly PortRange[] = [onlyPort(DNS_PORT), onlyPort(ENCRYPTED_DNS_PORT)];
const NAME_PORTS: readonly PortRange[] = [...RESOLVER_PORTS, onlyPort(LLMNR_PORT)];

/**
 * Bytes of a listener report of eight groups, after the option that announces it (RFC 2711, RFC
 * 3810 5.2). Any program may join groups, and could hide a message in their addresses: so reports
 * are few and short.
 */
const LONGEST_REPORT = 8 + 8 + 8 * 20;
const REPORTS = { count: 6, unit: 'minute' } as const;

function accept(id: RuleId, match: Match): Rule {
  return { id, match, verdict: 'accept' };
}

/**
 * Returns a drop, with a log rule before it when the settings ask for one: `limit … drop` would
 * drop only the logged packets.
 */
function drop(base: Base, id: RuleId, match: Match, verdict: Verdict = 'drop'): readonly Rule[] {
  const last: Rule = { id, match, verdict };
  return base.logDrops === undefined
    ? [last]
    : [{ id, match, verdict: { log: base.logDrops } }, last];
}

/** Returns a drop for outgoing packets, which `KILLSWITCH_REFUSE` may turn into a reject. */
function refuse(base: Base, id: RuleId, match: Match): readonly Rule[] {
  return drop(base, id, match, base.refuse);
}

/** Returns the families that rules of this base may accept outside the tunnel. */
function families(base: Base): readonly Family[] {
  return base.ipv6 === 'block' ? ['ipv4'] : FAMILIES;
}

/** Returns one rule for each family that has networks here. */
function perFamily(
  base: Base,
  networks: readonly Network[],
  rule: (family: Family, networks: readonly Network[]) => readonly Rule[],
): readonly Rule[] {
  return families(base).flatMap((family) => {
    const own = disjoint(networks.filter((network) => network.family === family));
    return own.length === 0 ? [] : rule(family, own);
  });
}

function hosts(addresses: readonly Address[]): readonly Network[] {
  return addresses.map((address) => networkOf(address));
}

/** Returns the ports of each transport in one match: `[tcp 80 443], [udp 443]`. */
function perTransport(
  services: readonly Service[],
  rule: (match: Required<Pick<Match, 'transports' | 'toPorts'>>) => readonly Rule[],
): readonly Rule[] {
  return TRANSPORTS.flatMap((transport) => {
    const toPorts = mergeRanges(
      services.filter((each) => each.transport === transport).map((each) => each.ports),
    );
    return toPorts.length === 0 ? [] : rule({ transports: [transport], toPorts });
  });
}

/** Merges ranges that overlap or touch, in order: both kernels' sets require that. */
function mergeRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const merged: { first: Port; last: Port }[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const last = merged.at(-1);
    if (last === undefined || range.first > last.last + 1) merged.push({ ...range });
    else if (range.last > last.last) last.last = range.last;
  }
  return merged;
}

/** Accepts this machine's packets to itself. */
export function loopback(direction: 'in' | 'out'): readonly Rule[] {
  return [accept('loopback', direction === 'in' ? { in: LOOPBACK } : { out: LOOPBACK })];
}

/**
 * Accepts the VPN client's own packets to its endpoints. Matches the account first, so that nobody
 * else's packets walk the list.
 */
export function endpoint(base: Base): readonly Rule[] {
  const verdict: Verdict = { jump: 'endpoint' };
  if (base.owners === undefined) return [{ id: 'endpoint', match: {}, verdict }];
  return base.owners.map((owner) => ({ id: 'endpoint', match: { owner }, verdict }));
}

/** Returns the list of endpoints, those in use first. */
export function endpointList(base: Base): readonly Rule[] {
  return [
    { id: 'endpoint', match: {}, verdict: { jump: 'live-endpoint' } },
    ...toEndpoints(base, base.endpoints),
  ];
}

/** Accepts packets to a live tunnel's endpoint. */
export function liveEndpoint(base: Base, tunnel: Tunnel): readonly Rule[] {
  return toEndpoints(base, tunnel.endpoints);
}

function toEndpoints(base: Base, endpoints: readonly Endpoint[]): readonly Rule[] {
  return families(base).flatMap((family) => {
    const own = endpoints.filter(({ address }) => address.family === family);
    return own.length === 0 ? [] : [accept('endpoint', { family, endpoints: own })];
  });
}

/**
 * Refuses other accounts' packets to an endpoint inside the LAN, which `lan` would accept
 * (TunnelCrack ServerIP, CVE-2023-36673).
 */
export function endpointOthers(base: Base, endpoints: readonly Endpoint[]): readonly Rule[] {
  return refuseEndpoints(
    base,
    'endpoint-others',
    endpoints,
    base.lan.map(({ network }) => network),
  );
}

function refuseEndpoints(
  base: Base,
  id: RuleId,
  endpoints: readonly Endpoint[],
  networks: readonly Network[],
): readonly Rule[] {
  const inside = endpoints.filter(({ address }) => {
    const host = networkOf(address);
    return networks.some((network) => contains(network, host));
  });
  return families(base).flatMap((family) => {
    const own = inside.filter(({ address }) => address.family === family);
    return own.length === 0 ? [] : refuse(base, id, { family, endpoints: own });
  });
}

/**
 * Accepts a DHCP client's packets that obtain and keep its address. On the way out, only root's and
 * those of an account for DHCP clients.
 */
export function dhcp(base: Base, direction: 'in' | 'out'): readonly Rule[] {
  return families(base).flatMap((family) => {
    const { client, server, to } = DHCP[family];
    const mine: Match = {
      family,
      transports: ['udp'],
      fromPorts: [onlyPort(client)],
      toPorts: [onlyPort(server)],
      to,
    };
    const theirs: Match = {
      family,
      transports: ['udp'],
      fromPorts: [onlyPort(server)],
      toPorts: [onlyPort(client)],
    };
    if (direction === 'out')
      return [0, ...base.dhcpUids].map((uid) =>
        accept('dhcp', { ...mine, owner: { kind: 'uid', uid } }),
      );
    return [accept('dhcp', family === 'ipv6' ? { ...theirs, from: LINK_LOCAL_IPV6 } : theirs)];
  });
}

/**
 * Accepts IPv6 neighbour discovery and multicast listener reports: without them a link carries no
 * IPv6 at all.
 */
export function neighbours(base: Base, direction: 'in' | 'out'): readonly Rule[] {
  if (!families(base).includes('ipv6')) return [];
  const { neighbourSolicitation, neighbourAdvertisement, routerSolicitation, routerAdvertisement } =
    ICMPV6;
  const family = 'ipv6';
  if (direction === 'in')
    return [
      accept('neighbours', { family, icmp: [neighbourSolicitation, neighbourAdvertisement] }),
      accept('neighbours', {
        family,
        icmp: [ICMPV6.listenerQuery, routerAdvertisement],
        from: LINK_LOCAL_IPV6,
      }),
    ];
  return [
    accept('neighbours', {
      family,
      icmp: [neighbourSolicitation, neighbourAdvertisement],
      to: NEIGHBOUR_NETWORKS,
    }),
    accept('neighbours', { family, icmp: [routerSolicitation], to: LINK_MULTICAST_IPV6 }),
    accept('neighbours', {
      family,
      icmp: [ICMPV6.listenerReport, ICMPV6.listenerDone, ICMPV6.listenerReport2],
      to: LINK_MULTICAST_IPV6,
      longest: LONGEST_REPORT,
      rate: REPORTS,
    }),
  ];
}

/**
 * Accepts SSH sessions that were open when their person locked, by both ends and both ports. Not by
 * conntrack: on a machine that had no rules before, it has never seen the connection. It would
 * treat the next packet as a new one.
 */
export function sshSession(base: Base, direction: 'in' | 'out'): readonly Rule[] {
  return base.sessions.flatMap(({ here, herePort, there, therePort }) => {
    const { family } = there;
    if (!families(base).includes(family)) return [];
    const [ours, theirs] = [
      { networks: hosts([here]), ports: [onlyPort(herePort)] },
      { networks: hosts([there]), ports: [onlyPort(therePort)] },
    ];
    const [from, to] = direction === 'out' ? [ours, theirs] : [theirs, ours];
    const match: Match = {
      family,
      from: from.networks,
      to: to.networks,
      transports: ['tcp'],
      fromPorts: from.ports,
      toPorts: to.ports,
    };
    return [accept('ssh-session', match)];
  });
}

/**
 * Accepts frames between two ports of one bridge. They never leave by a route or a socket of this
 * machine. A packet that the machine routes back into the bridge it came from is not one of them.
 */
export function bridged(hook: 'forward' | 'postrouting'): readonly Rule[] {
  return [accept('bridged', { bridged: hook })];
}

/** Sends packets that were first routed into a live tunnel to its own chain. */
export function tunnel({ device }: Tunnel): readonly Rule[] {
  return [{ id: 'tunnel', match: { out: device }, verdict: { jump: `output-${device}` } }];
}

/** Sends packets that leave by a live tunnel to its own chain, which decides. */
export function throughEgress({ device }: Tunnel): readonly Rule[] {
  return [{ id: 'tunnel', match: { out: device }, verdict: { jump: `postrouting-${device}` } }];
}

/**
 * Judges packets that come from a live tunnel's device and leave by another interface. They are
 * answers to forwarded packets that the settings allow, and the encrypted packets of the tunnel's
 * own driver. With data channel offload those carry any account or none, but no program can make
 * one. `ovpn_udp_send_skb` (drivers/net/ovpn/udp.c) sets the device, and `ip_output`
 * (net/ipv4/ip_output.c) passes it to this hook. A packet that came in through the tunnel and was
 * forwarded has met `forward` before.
 */
export function outOfTunnel(base: Base, { device, offloaded }: Tunnel): readonly Rule[] {
  const made: Rule = { id: 'endpoint', match: { in: device }, verdict: { jump: 'endpoint' } };
  return [
    ...(offloaded === true ? [made] : []),
    ...base.forward.flatMap((to) => answers(base, 'forward', { in: device, out: to })),
  ];
}

/**
 * Refuses packets that carry a tunnel's own address and would leave by another interface: they
 * belong to the tunnel, or pretend to.
 */
export function tunnelSource(
  base: Base,
  { device, addresses }: Pick<Tunnel, 'device' | 'addresses'>,
): readonly Rule[] {
  return addresses.flatMap((address) =>
    drop(base, 'tunnel-source', {
      family: address.family,
      notOut: device,
      from: [networkOf(address)],
    }),
  );
}

/**
 * Accepts packets to an endpoint in use by a tunnel whose packets the kernel makes. `postrouting`
 * can tell whose they are, `output` cannot.
 */
export function offloadedEndpoint(base: Base, { endpoints, offloaded }: Tunnel): readonly Rule[] {
  return offloaded === true ? toEndpoints(base, endpoints) : [];
}

/**
 * Refuses the kernel's message that the rest of a fragmented packet never came: it shows who has an
 * address.
 */
export function fragments(base: Base): readonly Rule[] {
  return FAMILIES.flatMap((family) => {
    const { type, code } = REASSEMBLY_EXCEEDED[family];
    return drop(base, 'fragments', { family, icmp: [type], icmpCode: code });
  });
}

/** Whether IPv6 may pass a tunnel: it has an IPv6 address, and the settings do not block IPv6. */
function carriesIpv6(base: Base, { addresses }: Tunnel): boolean {
  return base.ipv6 === 'tunnel' && addresses.some(({ family }) => family === 'ipv6');
}

/**
 * Refuses IPv6 into a tunnel that has no IPv6 address, or into any tunnel when the settings say so.
 */
export function noIpv6(base: Base, live: Tunnel): readonly Rule[] {
  return carriesIpv6(base, live) ? [] : refuse(base, 'no-ipv6', { family: 'ipv6' });
}

/** Accepts DNS to the resolvers of this tunnel, through it. */
export function tunnelDns(base: Base, { resolvers }: Tunnel): readonly Rule[] {
  return perFamily(base, hosts(base.dns ?? resolvers), (family, to) => [
    accept('tunnel-dns', { family, to, transports: TRANSPORTS, toPorts: RESOLVER_PORTS }),
  ]);
}

/** Refuses DNS to any other host. */
export function otherDns(base: Base): readonly Rule[] {
  return refuse(base, 'other-dns', { transports: TRANSPORTS, toPorts: NAME_PORTS });
}

/** Accepts everything else into the tunnel, or only ping and the ports in the settings. */
export function throughTunnel(base: Base): readonly Rule[] {
  if (base.tunnelPorts === undefined) return [accept('tunnel', {})];
  return [
    ...perTransport(base.tunnelPorts, (match) => [accept('tunnel', match)]),
    ...FAMILIES.map((family) => accept('tunnel', { family, icmp: [ECHO_REQUEST[family]] })),
    ...replies(base.tunnelInbound, 'tunnel-inbound', {}),
    ...rest(base),
  ];
}

/** Accepts answers of a service that the settings opened. */
function replies(services: readonly Service[], id: RuleId, match: Match): readonly Rule[] {
  return perTransport(services, ({ transports, toPorts }) => [
    accept(id, { ...match, transports, fromPorts: toPorts, conntrack: ['established'] }),
  ]);
}

/** Accepts DNS to the resolvers on the LAN that the settings name. */
export function lanDns(base: Base): readonly Rule[] {
  return perFamily(base, hosts(base.lanDns), (family, to) => [
    accept('lan-dns', { family, to, transports: TRANSPORTS, toPorts: RESOLVER_PORTS }),
  ]);
}

/** Accepts a captive portal's names and web, except an endpoint that lies there. */
export function portal(base: Base, open: Portal): readonly Rule[] {
  return [
    ...refuseEndpoints(base, 'portal', base.endpoints, [
      ...open.networks,
      ...hosts(open.resolvers),
    ]),
    ...throughPortal(open),
  ];
}

/**
 * Accepts a captive portal's needs: names, and the web of one user. Each is one kernel rule, so
 * that its counter shows the traffic.
 */
export function throughPortal({
  uid,
  uplink,
  networks,
  resolvers,
  askers,
  from,
  until,
}: Portal): readonly Rule[] {
  const to = (network: Network, asker: number, transport: Transport, port: Port): Rule =>
    accept('portal', {
      family: 'ipv4',
      out: uplink,
      to: [network],
      transports: [transport],
      toPorts: [onlyPort(port)],
      owner: { kind: 'uid', uid: asker },
      during: { from, until },
    });
  return [
    ...hosts(resolvers).flatMap((resolver) =>
      askers.flatMap((asker) =>
        TRANSPORTS.map((transport) => to(resolver, asker, transport, DNS_PORT)),
      ),
    ),
    ...networks.flatMap((network) => WEB_PORTS.map((port) => to(network, uid, 'tcp', port))),
  ];
}

/**
 * Refuses packets outside the tunnel to networks that its server routed into it: while it is
 * connected, they are not the LAN's.
 */
export function tunnelNetworks(
  base: Base,
  { networks }: Pick<Tunnel, 'networks'>,
): readonly Rule[] {
  return FAMILIES.flatMap((family) => {
    const to = disjoint(networks.filter((network) => network.family === family));
    return to.length === 0 ? [] : refuse(base, 'tunnel-networks', { family, to });
  });
}

/**
 * Refuses packets outside the tunnel to the networks of a tunnel that reconnects, or of a profile's
 * last connection, unless the settings list the LAN. They are the same rules as those of the live
 * tunnel, so a reconnect changes none.
 */
export function formerNetworks(base: Base, former: FormerTunnel): readonly Rule[] {
  switch (former.kind) {
    case 'reconnecting':
      return tunnelNetworks(base, former);
    case 'remembered':
      return base.remembers ? tunnelNetworks(base, former) : [];
    case 'ended':
      return [];
    default:
      return former.kind satisfies never;
  }
}

/** Accepts the LAN as the settings describe it. */
export function lan(base: Base): readonly Rule[] {
  const whole = base.lan
    .filter(({ service }) => service === undefined)
    .map(({ network }) => network);
  const services = base.lan.flatMap(({ network, service }) =>
    service === undefined ? [] : [{ network, service }],
  );
  return [
    ...perFamily(base, whole, (family, to) => [accept('lan', { family, to })]),
    ...services.flatMap(({ network, service }) =>
      perFamily(base, [network], (family, to) => [
        accept('lan', { family, to, transports: [service.transport], toPorts: [service.ports] }),
      ]),
    ),
    ...lanReplies(base),
  ];
}

/** Remembers from where this machine's programs ask a group or the whole LAN. */
export function lanQuestions(base: Base): readonly Rule[] {
  const ask = (family: Family, to: readonly Network[], ports: Pick<Match, 'toPorts'>): Rule => ({
    id: 'lan-discovery',
    match: { family, to, toMany: true, transports: ['udp'], ...ports },
    verdict: { remember: ANSWER_SECONDS },
  });
  const asksMany = ({ family, text }: Network) => family === 'ipv4' || text.startsWith('ff');
  const whole = base.lan
    .filter(({ network, service }) => service === undefined && asksMany(network))
    .map(({ network }) => network);
  return [
    ...perFamily(base, whole, (family, to) => [ask(family, to, {})]),
    ...base.lan.flatMap(({ network, service }) =>
      service?.transport === 'udp' && asksMany(network)
        ? perFamily(base, [network], (family, to) => [
            ask(family, to, { toPorts: [service.ports] }),
          ])
        : [],
    ),
  ];
}

/**
 * Accepts the LAN's answers to such a question, only to the address, port and interface that it
 * left from.
 */
export function lanAnswers(base: Base): readonly Rule[] {
  const asking = new Set(lanQuestions(base).map(({ match: { family } }) => family));
  return perFamily(base, lanHosts(base), (family, from) =>
    asking.has(family)
      ? [accept('lan-discovery', { family, from, transports: ['udp'], asked: true })]
      : [],
  );
}

/** Returns the networks of the LAN's hosts: no host sends from a multicast address. */
function lanHosts(base: Base): readonly Network[] {
  return base.lan
    .map(({ network }) => network)
    .filter((network) => !LOCAL_MULTICAST.some((other) => contains(other, network)));
}

/**
 * Accepts answers of opened services to hosts of which the LAN list names only single services.
 * Every other host of the list gets everything.
 */
function lanReplies(base: Base): readonly Rule[] {
  const limited = base.lan
    .filter(({ service }) => service !== undefined)
    .map(({ network }) => network);
  return perFamily(base, limited, (family, to) =>
    replies(base.lanInbound, 'lan-inbound', { family, to }),
  );
}

/**
 * Refuses packets to a tunnel's own address that came by another interface: an attacker on the LAN
 * is guessing (CVE-2019-14899).
 */
export function tunnelAddress(
  base: Base,
  { device, addresses }: Pick<Tunnel, 'device' | 'addresses'>,
): readonly Rule[] {
  return addresses.flatMap((address) =>
    drop(base, 'tunnel-address', {
      family: address.family,
      notIn: device,
      to: [networkOf(address)],
    }),
  );
}

function untaken(addresses: readonly Address[], live: readonly Tunnel[]): readonly Address[] {
  const taken = new Set(live.flatMap((tunnel) => tunnel.addresses.map(({ text }) => text)));
  return addresses.filter(({ text }) => !taken.has(text));
}

/**
 * Refuses packets from the address of a tunnel that is not live. They may repeat packets sent
 * inside it, or come from programs bound to its address.
 */
export function formerSource(
  base: Base,
  { device, addresses }: FormerTunnel,
  live: readonly Tunnel[],
): readonly Rule[] {
  return device === undefined
    ? []
    : tunnelSource(base, { device, addresses: untaken(addresses, live) });
}

/**
 * Refuses packets to the address of a tunnel that is not live: programs may still be bound to it.
 * An address of a live tunnel belongs to that one.
 */
export function formerAddress(
  base: Base,
  { device, addresses }: FormerTunnel,
  live: readonly Tunnel[],
): readonly Rule[] {
  if (device === undefined) return [];
  return tunnelAddress(base, { device, addresses: untaken(addresses, live) });
}

/**
 * Accepts answers, and the errors that belong to packets sent before. Accepts nothing else that the
 * kernel calls related, such as a helper's expectation.
 */
function answers(base: Base, id: RuleId, match: Match): readonly Rule[] {
  return [
    accept(id, {
      ...(base.ipv6 === 'block' ? { family: 'ipv4' } : {}),
      ...match,
      conntrack: ['established'],
    }),
    ...families(base).map((family) =>
      accept(id, { ...match, family, icmp: ICMP_ERRORS[family], conntrack: ['related'] }),
    ),
  ];
}

/** Accepts answers to this machine's packets, and the errors that belong to them. */
export function established(base: Base): readonly Rule[] {
  return answers(base, 'established', {});
}

/** Sends packets from a live tunnel to its own chain, which decides. */
export function fromTunnel({ device }: Tunnel): readonly Rule[] {
  return [{ id: 'tunnel-inbound', match: { in: device }, verdict: { jump: `input-${device}` } }];
}

/**
 * Matches packets that a tunnel may bring: those to its own addresses, of the families it carries.
 * Matches any address where its own are unknown.
 */
function toOwnAddresses(
  base: Base,
  live: Tunnel,
  rule: (to: Match) => readonly Rule[],
): readonly Rule[] {
  const carried = FAMILIES.filter((family) => family === 'ipv4' || carriesIpv6(base, live));
  if (live.addresses.length === 0) return rule(carried.length > 1 ? {} : { family: 'ipv4' });
  return carried.flatMap((family) => {
    const to = hosts(live.addresses.filter((address) => address.family === family));
    return to.length === 0 ? [] : rule({ family, to });
  });
}

/**
 * Accepts packets from a tunnel: answers, and packets to the ports that the settings open to it. A
 * packet to another address of this machine is the server's guess (CVE-2019-14899, from its side).
 * Neighbour solicitations are for tap devices.
 */
export function tunnelInbound(base: Base, live: Tunnel): readonly Rule[] {
  const { neighbourSolicitation, neighbourAdvertisement } = ICMPV6;
  const own = hosts(live.addresses.filter(({ family }) => family === 'ipv6'));
  return [
    // A tunnel without known addresses may not claim another tunnel's.
    ...(live.addresses.length > 0
      ? []
      : [{ id: 'tunnel-address', match: {}, verdict: { jump: 'tunnel-address' } } as const]),
    ...toOwnAddresses(base, live, (to) => [
      { id: 'established', match: to, verdict: { jump: 'answers' } },
    ]),
    ...(carriesIpv6(base, live)
      ? [
          accept('neighbours', {
            family: 'ipv6',
            icmp: [neighbourSolicitation, neighbourAdvertisement],
            to: [...own, ...NEAR],
          }),
        ]
      : []),
    ...toOwnAddresses(base, live, (to) =>
      perTransport(base.tunnelInbound, (match) => [accept('tunnel-inbound', { ...to, ...match })]),
    ),
    ...rest(base),
  ];
}

/** Accepts the ports that the settings open to the LAN. */
export function lanInbound(base: Base): readonly Rule[] {
  if (base.lanInbound.length === 0) return [];
  return perFamily(base, lanHosts(base), (family, from) =>
    perTransport(base.lanInbound, (match) => [accept('lan-inbound', { family, from, ...match })]),
  );
}

/** Sends forwarded packets into or out of a live tunnel to its own chain, which decides. */
export function forward(base: Base, { device }: Tunnel): readonly Rule[] {
  if (base.forward.length === 0) return [];
  const verdict: Verdict = { jump: `forward-${device}` };
  return [
    { id: 'forward', match: { out: device }, verdict },
    { id: 'forward', match: { in: device }, verdict },
  ];
}

/**
 * Accepts the forwarded packets that the settings allow: into the tunnel under its rules, and the
 * answers back.
 */
export function throughForward(base: Base, live: Tunnel): readonly Rule[] {
  const { device } = live;
  const into = [
    ...noIpv6(base, live),
    ...tunnelDns(base, live),
    ...otherDns(base),
    ...throughTunnel({ ...base, tunnelInbound: [] }),
  ];
  return [
    ...base.forward.flatMap((from) => [
      ...into
        .filter(({ id }) => id !== 'rest')
        .map((rule): Rule => ({ ...rule, match: { ...rule.match, in: from, out: device } })),
      ...answers(carriesIpv6(base, live) ? base : { ...base, ipv6: 'block' }, 'forward', {
        in: device,
        out: from,
      }),
    ]),
    ...rest(base),
  ];
}

/** Refuses everything else. */
export function rest(base: Base): readonly Rule[] {
  return refuse(base, 'rest', {});
}
