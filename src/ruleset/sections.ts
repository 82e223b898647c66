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
 * How long the LAN may answer a question to many: the longest wait that SSDP lets a client ask for
 * (UPnP Device Architecture 2.0, 1.3.2: MX), and one more.
 */
const ANSWER_SECONDS = 6;

const NEAR: readonly Network[] = [...LINK_LOCAL_IPV6, ...LINK_MULTICAST_IPV6];
const RESOLVER_PORTS: readonly PortRange[] = [onlyPort(DNS_PORT), onlyPort(ENCRYPTED_DNS_PORT)];
const NAME_PORTS: readonly PortRange[] = [...RESOLVER_PORTS, onlyPort(LLMNR_PORT)];

/**
 * A listener report of eight groups, behind the option that announces it (RFC 2711, RFC 3810 5.2).
 * Any program may join groups, and their addresses may be what it has to say: reports are few and
 * short.
 */
const LONGEST_REPORT = 8 + 8 + 8 * 20;
const REPORTS = { count: 6, unit: 'minute' } as const;

function accept(id: RuleId, match: Match): Rule {
  return { id, match, verdict: 'accept' };
}

/**
 * A drop, with its log before it when the settings ask for one: `limit … drop` would drop only what
 * is logged.
 */
function drop(base: Base, id: RuleId, match: Match, verdict: Verdict = 'drop'): readonly Rule[] {
  const last: Rule = { id, match, verdict };
  return base.logDrops === undefined
    ? [last]
    : [{ id, match, verdict: { log: base.logDrops } }, last];
}

/** A drop on the way out, where `KILLSWITCH_REFUSE` may tell the program. */
function refuse(base: Base, id: RuleId, match: Match): readonly Rule[] {
  return drop(base, id, match, base.refuse);
}

/** The families that rules of this base may accept off the tunnel. */
function families(base: Base): readonly Family[] {
  return base.ipv6 === 'block' ? ['ipv4'] : FAMILIES;
}

/** One rule for each family that has networks here. */
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

/** Ports of each transport in one match: `[tcp 80 443], [udp 443]`. */
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

/** Ranges in order, none of which overlaps or touches another: what both kernels' sets take. */
function mergeRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const merged: { first: Port; last: Port }[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const last = merged.at(-1);
    if (last === undefined || range.first > last.last + 1) merged.push({ ...range });
    else if (range.last > last.last) last.last = range.last;
  }
  return merged;
}

/** This machine talking to itself. */
export function loopback(direction: 'in' | 'out'): readonly Rule[] {
  return [accept('loopback', direction === 'in' ? { in: LOOPBACK } : { out: LOOPBACK })];
}

/**
 * The VPN client's own packets to its endpoints. Whose they are is asked first, so nobody else's
 * walk the list.
 */
export function endpoint(base: Base): readonly Rule[] {
  const verdict: Verdict = { jump: 'endpoint' };
  if (base.owners === undefined) return [{ id: 'endpoint', match: {}, verdict }];
  return base.owners.map((owner) => ({ id: 'endpoint', match: { owner }, verdict }));
}

/** The list of endpoints: those in use stand first. */
export function endpointList(base: Base): readonly Rule[] {
  return [
    { id: 'endpoint', match: {}, verdict: { jump: 'live-endpoint' } },
    ...toEndpoints(base, base.endpoints),
  ];
}

/** The endpoint a live tunnel uses. */
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
 * Anybody else's packets to an endpoint inside the LAN, which `lan` would let out (TunnelCrack
 * ServerIP, CVE-2023-36673).
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
 * A DHCP client asking for and keeping its address: on the way out, root's and that of an account
 * for DHCP clients.
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
 * IPv6 neighbour discovery and multicast listener reports: without them a link carries no IPv6 at
 * all.
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
 * An SSH session that was open when its person locked: both ends and both ports. Not by conntrack:
 * on a machine that had no rules before, it has never seen the connection, and takes what comes
 * next for a new one.
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
 * Frames between two ports of one bridge. They never leave by a route or a socket of this machine;
 * a packet that it routes back into the bridge it came from is not one of them.
 */
export function bridged(hook: 'forward' | 'postrouting'): readonly Rule[] {
  return [accept('bridged', { bridged: hook })];
}

/** Packets that were routed into a live tunnel at first: its own chain looks at them. */
export function tunnel({ device }: Tunnel): readonly Rule[] {
  return [{ id: 'tunnel', match: { out: device }, verdict: { jump: `output-${device}` } }];
}

/** Packets that leave by a live tunnel: its own chain decides. */
export function throughEgress({ device }: Tunnel): readonly Rule[] {
  return [{ id: 'tunnel', match: { out: device }, verdict: { jump: `postrouting-${device}` } }];
}

/**
 * Packets that come from a live tunnel's device and leave by another interface: answers to what the
 * settings let be forwarded, and the encrypted packets that the tunnel's own driver makes. With
 * data channel offload those carry any account or none, but no program can make one:
 * `ovpn_udp_send_skb` (drivers/net/ovpn/udp.c) sets the device, `ip_output` (net/ipv4/ip_output.c)
 * gives it to this hook, and what came in through the tunnel and was forwarded has met `forward`
 * before.
 */
export function outOfTunnel(base: Base, { device, offloaded }: Tunnel): readonly Rule[] {
  const made: Rule = { id: 'endpoint', match: { in: device }, verdict: { jump: 'endpoint' } };
  return [
    ...(offloaded === true ? [made] : []),
    ...base.forward.flatMap((to) => answers(base, 'forward', { in: device, out: to })),
  ];
}

/**
 * What carries a tunnel's own address and would leave by another interface: it belongs to the
 * tunnel, or pretends to.
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
 * To an endpoint in use by a tunnel whose packets the kernel makes: `output` cannot tell whose they
 * are, `postrouting` can.
 */
export function offloadedEndpoint(base: Base, { endpoints, offloaded }: Tunnel): readonly Rule[] {
  return offloaded === true ? toEndpoints(base, endpoints) : [];
}

/**
 * The kernel's answer that the rest of a fragmented packet never came: it shows who has an address.
 */
export function fragments(base: Base): readonly Rule[] {
  return FAMILIES.flatMap((family) => {
    const { type, code } = REASSEMBLY_EXCEEDED[family];
    return drop(base, 'fragments', { family, icmp: [type], icmpCode: code });
  });
}

/**
 * Whether IPv6 may go through a tunnel: it has an address of its own, and the settings do not block
 * IPv6.
 */
function carriesIpv6(base: Base, { addresses }: Tunnel): boolean {
  return base.ipv6 === 'tunnel' && addresses.some(({ family }) => family === 'ipv6');
}

/** IPv6 into a tunnel that has none of its own, or at all when the settings say so. */
export function noIpv6(base: Base, live: Tunnel): readonly Rule[] {
  return carriesIpv6(base, live) ? [] : refuse(base, 'no-ipv6', { family: 'ipv6' });
}

/** DNS to the resolvers of this tunnel, through it. */
export function tunnelDns(base: Base, { resolvers }: Tunnel): readonly Rule[] {
  return perFamily(base, hosts(base.dns ?? resolvers), (family, to) => [
    accept('tunnel-dns', { family, to, transports: TRANSPORTS, toPorts: RESOLVER_PORTS }),
  ]);
}

/** DNS to anybody else. */
export function otherDns(base: Base): readonly Rule[] {
  return refuse(base, 'other-dns', { transports: TRANSPORTS, toPorts: NAME_PORTS });
}

/** Everything else into the tunnel, or only the ports the settings list and ping. */
export function throughTunnel(base: Base): readonly Rule[] {
  if (base.tunnelPorts === undefined) return [accept('tunnel', {})];
  return [
    ...perTransport(base.tunnelPorts, (match) => [accept('tunnel', match)]),
    ...FAMILIES.map((family) => accept('tunnel', { family, icmp: [ECHO_REQUEST[family]] })),
    ...replies(base.tunnelInbound, 'tunnel-inbound', {}),
    ...rest(base),
  ];
}

/** Answers of a service that the settings opened. */
function replies(services: readonly Service[], id: RuleId, match: Match): readonly Rule[] {
  return perTransport(services, ({ transports, toPorts }) => [
    accept(id, { ...match, transports, fromPorts: toPorts, conntrack: ['established'] }),
  ]);
}

/** DNS to the resolvers on the LAN that the settings name. */
export function lanDns(base: Base): readonly Rule[] {
  return perFamily(base, hosts(base.lanDns), (family, to) => [
    accept('lan-dns', { family, to, transports: TRANSPORTS, toPorts: RESOLVER_PORTS }),
  ]);
}

/** A captive portal's names and web, but no endpoint that lies there. */
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
 * What a captive portal needs: names, and the web of one user. One kernel rule for each of these,
 * so that its counter says what passed.
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
 * Off the tunnel, what the server routed into it: those networks are not the LAN's while it is
 * connected.
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
 * What belonged to a tunnel that reconnects is still not the LAN's, nor what belonged to the last
 * connection of a profile, unless the settings list the LAN themselves. The same rules as while it
 * was live: a reconnect changes none of them.
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

/** The LAN as the settings describe it. */
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

/**
 * Questions of this machine's programs to a group or to all of the LAN: where they left from is
 * remembered.
 */
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
 * What hosts of the LAN answer to such a question: to the very address, port and interface that it
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

/** Where hosts of the LAN are: nobody sends from a multicast address. */
function lanHosts(base: Base): readonly Network[] {
  return base.lan
    .map(({ network }) => network)
    .filter((network) => !LOCAL_MULTICAST.some((other) => contains(other, network)));
}

/**
 * Answers of opened services to hosts of which the LAN list names only single services; to all
 * others everything goes.
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
 * Packets to a tunnel's own address that did not come through it: somebody on the LAN is guessing
 * (CVE-2019-14899).
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
 * The same for a tunnel that is not live: what was sent inside it may be sent again, or programs
 * are bound to its address.
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
 * The same for a tunnel that is not live: programs may still be bound to its address. An address
 * that a live tunnel has is that one's.
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
 * Answers, and the errors that belong to what was sent before: nothing else that the kernel calls
 * related, as a helper's expectation.
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

/** Answers to what this machine asked, and the errors that belong to them. */
export function established(base: Base): readonly Rule[] {
  return answers(base, 'established', {});
}

/** Packets that come from a live tunnel: its own chain decides. */
export function fromTunnel({ device }: Tunnel): readonly Rule[] {
  return [{ id: 'tunnel-inbound', match: { in: device }, verdict: { jump: `input-${device}` } }];
}

/**
 * What a tunnel may bring: packets to its own addresses, of the families it carries. Where none is
 * known, to any address.
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
 * What a tunnel brings: answers, and what comes to the ports that the settings open to it. A packet
 * to another address of this machine is the server's guess (CVE-2019-14899, from its side).
 * Neighbour solicitations are for tap devices.
 */
export function tunnelInbound(base: Base, live: Tunnel): readonly Rule[] {
  const { neighbourSolicitation, neighbourAdvertisement } = ICMPV6;
  const own = hosts(live.addresses.filter(({ family }) => family === 'ipv6'));
  return [
    // A tunnel whose own addresses are not known may not claim another tunnel's.
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

/** Ports the settings open to the LAN. */
export function lanInbound(base: Base): readonly Rule[] {
  if (base.lanInbound.length === 0) return [];
  return perFamily(base, lanHosts(base), (family, from) =>
    perTransport(base.lanInbound, (match) => [accept('lan-inbound', { family, from, ...match })]),
  );
}

/** Forwarded packets into a live tunnel or out of it: its own chain decides. */
export function forward(base: Base, { device }: Tunnel): readonly Rule[] {
  if (base.forward.length === 0) return [];
  const verdict: Verdict = { jump: `forward-${device}` };
  return [
    { id: 'forward', match: { out: device }, verdict },
    { id: 'forward', match: { in: device }, verdict },
  ];
}

/** What the settings let be forwarded: into the tunnel under its rules, and the answers back. */
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

/** Everything else. */
export function rest(base: Base): readonly Rule[] {
  return refuse(base, 'rest', {});
}
