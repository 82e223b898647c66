import { type Policy, tunnelsOf } from '../../src/policy/policy.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import {
  asksNames,
  asksResolver,
  carries,
  endpointsOf,
  goesTo,
  isKeptShut,
  isListed,
  isOfPortal,
  isOfSession,
  isOwners,
  liesIn,
} from './specification.ts';

/** A sentence that no accepted packet may break, whatever the policy. */
export interface LeakInvariant {
  readonly name: string;
  /**
   * Whether an accepted packet breaks it. `acceptedAsNew`: whether the same packet passes as the
   * first of its connection.
   */
  broken(policy: Policy, packet: Packet, acceptedAsNew: () => boolean): boolean;
}

const DHCP_PORTS = { ipv4: [68, 67], ipv6: [546, 547] } as const;

const isDhcp = ({ to, payload }: Packet, side: 'client' | 'server') => {
  if (!('transport' in payload) || payload.transport !== 'udp') return false;
  const [client, server] = DHCP_PORTS[to.family];
  return side === 'client'
    ? payload.fromPort === client && payload.toPort === server
    : payload.fromPort === server && payload.toPort === client;
};
const isDhcpClients = ({ base }: Policy, { uid }: Packet) =>
  uid === 0 || base.dhcpUids.some((each) => each === uid);
/** Neighbour discovery and multicast listener messages: they never leave the link. */
const isNeighbours = ({ to, payload }: Packet) =>
  to.family === 'ipv6' && 'icmp' in payload && payload.icmp >= 130 && payload.icmp <= 143;
const isOneOf = ({ text }: Packet['to'], addresses: readonly Packet['to'][]) =>
  addresses.some((address) => address.text === text);
const tunnelOut = (policy: Policy, { out }: Packet) =>
  tunnelsOf(policy).find(({ device }) => device === out);
const tunnelIn = (policy: Policy, packet: Packet) =>
  tunnelsOf(policy).find(({ device }) => device === packet.in);
/** The VPN client's own packets, or those that a live tunnel's driver makes for it. */
const isClients = (policy: Policy, packet: Packet) =>
  (isOwners(policy, packet) ||
    (packet.hook === 'postrouting' && tunnelIn(policy, packet)?.offloaded === true) ||
    offloaded(policy, packet)) &&
  goesTo(endpointsOf(policy), packet);
/**
 * The first look cannot tell whose the packets of a tunnel are that the kernel makes; the final one
 * can.
 */
const offloaded = (policy: Policy, packet: Packet) =>
  packet.hook === 'output' &&
  tunnelsOf(policy).some((tunnel) => tunnel.offloaded === true && goesTo(tunnel.endpoints, packet));
/** An answer, or an error that belongs to what was sent before. */
const isAnswer = ({ to, payload, conntrack }: Packet) =>
  conntrack === 'established' ||
  (conntrack === 'related' &&
    'icmp' in payload &&
    (to.family === 'ipv6' ? [1, 2, 3, 4] : [3, 11, 12]).includes(payload.icmp));
/** The packets that come back from a tunnel to an interface of `KILLSWITCH_FORWARD`. */
const isAnswerToGuest = (policy: Policy, packet: Packet) =>
  packet.hook === 'postrouting' &&
  tunnelIn(policy, packet) !== undefined &&
  isAnswer(packet) &&
  isListed(policy, packet.out);
const asksLan = (policy: Policy, packet: Packet) =>
  asksResolver(packet) && isOneOf(packet.to, policy.base.lanDns);
/** Out of the machine by an interface that is neither loopback nor a live tunnel. */
const leavesBare = (policy: Policy, packet: Packet) =>
  (packet.hook === 'output' || packet.hook === 'postrouting') &&
  packet.out !== 'lo' &&
  tunnelOut(policy, packet) === undefined;
const arrives = (packet: Packet) => packet.hook === 'input' && packet.in !== 'lo';
const isOpened = (services: Policy['base']['lanInbound'], { payload }: Packet) =>
  'transport' in payload &&
  services.some(
    ({ ports, transport }) =>
      transport === payload.transport &&
      ports.first <= payload.toPort &&
      payload.toPort <= ports.last,
  );
/** To where a question to many left from, over UDP. */
const isAskedFor = ({ asked, payload }: Packet) =>
  asked === true && 'transport' in payload && payload.transport === 'udp';
const onLan = ({ base }: Policy, packet: Packet) =>
  base.lan.some(
    ({ network, service }) =>
      liesIn(packet.to, network.text) &&
      (service === undefined ||
        isOpened([service], packet) ||
        (packet.conntrack === 'established' && base.lanInbound.length > 0)),
  );

const INVARIANTS: readonly LeakInvariant[] = [
  {
    name: 'off the tunnel nothing leaves but the client’s packets, DHCP, neighbours, SSH sessions that were kept, what a portal is for, and what goes to the LAN',
    broken: (policy, packet) =>
      leavesBare(policy, packet) &&
      !isClients(policy, packet) &&
      !isDhcp(packet, 'client') &&
      !isNeighbours(packet) &&
      !asksLan(policy, packet) &&
      !isOfSession(policy, packet) &&
      !isOfPortal(policy, packet) &&
      !isAnswerToGuest(policy, packet) &&
      !onLan(policy, packet),
  },
  {
    name: 'to an endpoint’s address and port nobody but the client gets off the tunnel',
    broken: (policy, packet) =>
      leavesBare(policy, packet) &&
      !isOfSession(policy, packet) &&
      goesTo(endpointsOf(policy), packet) &&
      !isClients(policy, packet) &&
      !isAnswerToGuest(policy, packet) &&
      !asksLan(policy, packet),
  },
  {
    name: 'names are asked of the tunnel’s resolvers through the tunnel, of the LAN’s that the settings name, of a portal’s, and of nobody else',
    broken: (policy, packet) => {
      if (packet.hook === 'input' || packet.out === 'lo' || !asksNames(packet)) return false;
      const tunnel = tunnelOut(policy, packet);
      const resolvers = tunnel === undefined ? [] : (policy.base.dns ?? tunnel.resolvers);
      const asksTunnel = asksResolver(packet) && isOneOf(packet.to, resolvers);
      const isAnswer =
        packet.hook === 'forward' &&
        packet.conntrack !== 'new' &&
        tunnelIn(policy, packet) !== undefined;
      if (isAnswerToGuest(policy, packet)) return false;
      const mayAskElsewhere =
        packet.hook !== 'forward' &&
        (isClients(policy, packet) ||
          isOfPortal(policy, packet) ||
          (tunnel === undefined && asksLan(policy, packet)));
      return !asksTunnel && !isAnswer && !mayAskElsewhere;
    },
  },
  {
    name: 'what the server routed into the tunnel does not leave beside it, nor while it reconnects',
    broken: (policy, packet) =>
      leavesBare(policy, packet) &&
      !isOfSession(policy, packet) &&
      !isOfPortal(policy, packet) &&
      (isKeptShut(policy, packet.to) ||
        tunnelsOf(policy).some(({ networks }) =>
          networks.some(({ text }) => liesIn(packet.to, text)),
        )) &&
      !isAnswerToGuest(policy, packet) &&
      !isClients(policy, packet) &&
      !isDhcp(packet, 'client') &&
      !isNeighbours(packet) &&
      !asksLan(policy, packet),
  },
  {
    name: 'an old connection alone opens nothing off the tunnel, but for answers of services opened to the LAN',
    broken: (policy, packet, acceptedAsNew) =>
      leavesBare(policy, packet) &&
      packet.conntrack !== 'new' &&
      !acceptedAsNew() &&
      !isAnswerToGuest(policy, packet) &&
      !(
        packet.conntrack === 'established' &&
        'transport' in packet.payload &&
        isOpened(policy.base.lanInbound, {
          ...packet,
          payload: { ...packet.payload, toPort: packet.payload.fromPort },
        })
      ),
  },
  {
    name: 'with IPv6 blocked there is none but on loopback',
    broken: ({ base }, packet) =>
      base.ipv6 === 'block' &&
      packet.to.family === 'ipv6' &&
      packet.in !== 'lo' &&
      packet.out !== 'lo',
  },
  {
    name: 'a tunnel without an IPv6 address carries none',
    broken: (policy, packet) => {
      const from = packet.hook === 'forward' ? tunnelIn(policy, packet) : undefined;
      if (from !== undefined && !carries(policy, from, packet)) return true;
      const tunnel = tunnelOut(policy, packet);
      if (tunnel === undefined || carries(policy, tunnel, packet)) return false;
      return (
        packet.hook === 'forward' ||
        !(isClients(policy, packet) || isDhcp(packet, 'client') || isNeighbours(packet))
      );
    },
  },
  {
    name: 'only the ports of the settings go through the tunnel, apart from pings, names and answers',
    broken: (policy, packet) => {
      const { tunnelPorts, tunnelInbound } = policy.base;
      if (
        tunnelPorts === undefined ||
        tunnelOut(policy, packet) === undefined ||
        isOpened(tunnelPorts, packet) ||
        asksResolver(packet)
      )
        return false;
      if (
        'icmp' in packet.payload &&
        packet.payload.icmp === (packet.to.family === 'ipv6' ? 128 : 8)
      )
        return false;
      if (packet.hook === 'forward')
        return packet.conntrack === 'new' || tunnelIn(policy, packet) === undefined;
      const isAnswerOfService =
        packet.conntrack === 'established' &&
        'transport' in packet.payload &&
        isOpened(tunnelInbound, {
          ...packet,
          payload: { ...packet.payload, toPort: packet.payload.fromPort },
        });
      const isLinks =
        isNeighbours(packet) || (isDhcp(packet, 'client') && isDhcpClients(policy, packet));
      return (
        !isAnswerOfService &&
        !(isOwners(policy, packet) && goesTo(endpointsOf(policy), packet)) &&
        !isLinks
      );
    },
  },
  {
    name: 'nothing new comes in but DHCP, neighbours, what the settings open to where it comes from, and the LAN’s answers to questions to many',
    broken: (policy, packet) => {
      if (
        !arrives(packet) ||
        packet.conntrack !== 'new' ||
        isDhcp(packet, 'server') ||
        isNeighbours(packet)
      )
        return false;
      const tunnel = tunnelIn(policy, packet);
      if (tunnel === undefined && isOfSession(policy, packet)) return false;
      if (tunnel !== undefined)
        return !isOpened(policy.base.tunnelInbound, packet) || !carries(policy, tunnel, packet);
      const mayCome = isOpened(policy.base.lanInbound, packet) || isAskedFor(packet);
      return !mayCome || !policy.base.lan.some(({ network }) => liesIn(packet.from, network.text));
    },
  },
  {
    name: 'router advertisements, listener queries and IPv6 DHCP come from the link itself',
    broken: ({ base }, packet) => {
      if (!arrives(packet) || packet.to.family !== 'ipv6' || packet.conntrack !== 'new')
        return false;
      const type = 'icmp' in packet.payload ? packet.payload.icmp : undefined;
      const opened =
        isOpened([...base.lanInbound, ...base.tunnelInbound], packet) || isAskedFor(packet);
      return (
        (type === 130 || type === 134 || (isDhcp(packet, 'server') && !opened)) &&
        !liesIn(packet.from, 'fe80::/10')
      );
    },
  },
  {
    name: 'of what the kernel calls related only errors come in: no helper opens a port',
    broken: (policy, packet) => {
      if (
        !arrives(packet) ||
        packet.conntrack !== 'related' ||
        isDhcp(packet, 'server') ||
        isNeighbours(packet)
      )
        return false;
      if (tunnelIn(policy, packet) === undefined && isOfSession(policy, packet)) return false;
      if (
        isOpened([...policy.base.lanInbound, ...policy.base.tunnelInbound], packet) ||
        isAskedFor(packet)
      )
        return false;
      return !isAnswer(packet);
    },
  },
  {
    name: 'what carries a tunnel’s own address leaves by that tunnel alone, but for the client’s packets, DHCP and neighbours',
    broken: (policy, packet) =>
      packet.hook === 'postrouting' &&
      packet.out !== 'lo' &&
      tunnelsOf(policy).some(
        ({ device, addresses }) => device !== packet.out && isOneOf(packet.from, addresses),
      ) &&
      !isClients(policy, packet) &&
      !isDhcp(packet, 'client') &&
      !isNeighbours(packet),
  },
  {
    name: 'nobody is told that a fragment came too late',
    broken: (_policy, packet) =>
      packet.hook === 'postrouting' &&
      packet.out !== 'lo' &&
      'icmpCode' in packet.payload &&
      packet.payload.icmpCode === 1 &&
      packet.payload.icmp === (packet.to.family === 'ipv6' ? 3 : 11),
  },
  {
    name: 'a tunnel brings packets to its own addresses alone',
    broken: (policy, packet) => {
      const tunnel = packet.hook === 'input' ? tunnelIn(policy, packet) : undefined;
      if (tunnel === undefined || tunnel.addresses.length === 0) return false;
      const isOfLink =
        isNeighbours(packet) &&
        ['fe80::/10', 'ff02::/16'].some((prefix) => liesIn(packet.to, prefix));
      return !isOfLink && !isOneOf(packet.to, tunnel.addresses);
    },
  },
  {
    name: 'DHCP is root’s and that of accounts for DHCP clients',
    broken: (policy, packet) =>
      leavesBare(policy, packet) &&
      isDhcp(packet, 'client') &&
      !isDhcpClients(policy, packet) &&
      !isAnswerToGuest(policy, packet) &&
      !onLan(policy, packet),
  },
  {
    name: 'DHCP leaves towards servers of the link alone',
    broken: (policy, packet) =>
      leavesBare(policy, packet) &&
      isDhcp(packet, 'client') &&
      !isAnswerToGuest(policy, packet) &&
      !onLan(policy, packet) &&
      ![
        '255.255.255.255/32',
        '10.0.0.0/8',
        '172.16.0.0/12',
        '192.168.0.0/16',
        '169.254.0.0/16',
        '100.64.0.0/10',
      ].some((prefix) => liesIn(packet.to, prefix)) &&
      !['ff02::1:2/128', 'ff05::1:3/128', 'fe80::/10'].some((prefix) => liesIn(packet.to, prefix)),
  },
  {
    name: 'neighbour messages leave as the protocol has them: short reports and solicitations to groups of the link, no query, no advertisement of a router',
    broken: (policy, packet) => {
      if (
        !leavesBare(policy, packet) ||
        isAnswerToGuest(policy, packet) ||
        !isNeighbours(packet) ||
        onLan(policy, packet) ||
        !('icmp' in packet.payload)
      )
        return false;
      const { icmp } = packet.payload;
      const isNear = ['fe80::/10', 'fc00::/7', 'ff02::/16'].some((prefix) =>
        liesIn(packet.to, prefix),
      );
      return !(
        ((icmp === 135 || icmp === 136) && isNear) ||
        (icmp === 133 && liesIn(packet.to, 'ff02::/16')) ||
        ([131, 132, 143].includes(icmp) &&
          liesIn(packet.to, 'ff02::/16') &&
          (packet.bytes ?? 0) <= 176)
      );
    },
  },
  {
    name: 'nobody but the tunnel brings packets to the tunnel’s own address, not even of an old connection',
    broken: (policy, packet) =>
      arrives(packet) &&
      tunnelsOf(policy).some(
        ({ device, addresses }) => device !== packet.in && isOneOf(packet.to, addresses),
      ),
  },
  {
    name: 'nothing is forwarded but from listed interfaces into a live tunnel, and the answers',
    broken: (policy, packet) => {
      if (packet.hook !== 'forward') return false;
      const into = isListed(policy, packet.in) && tunnelOut(policy, packet) !== undefined;
      const answer =
        isListed(policy, packet.out) && tunnelIn(policy, packet) !== undefined && isAnswer(packet);
      return !into && !answer;
    },
  },
];

/**
 * A packet that this machine sends, routes or takes: no frame between two ports of one bridge.
 */
export const LEAK_INVARIANTS: readonly LeakInvariant[] = INVARIANTS.map(({ name, broken }) => ({
  name,
  broken: (policy, packet, acceptedAsNew) =>
    packet.bridged !== true && broken(policy, packet, acceptedAsNew),
}));
