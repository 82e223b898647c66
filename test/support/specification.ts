import type { Address } from '../../src/net/address.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import type { Network } from '../../src/net/network.ts';
import type { Service } from '../../src/net/port.ts';
import { type Policy, tunnelsOf } from '../../src/policy/policy.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import type { Tunnel } from '../../src/tunnel/tunnel.ts';
import { addressNumber, prefixBounds } from './address-number.ts';

/**
 * The product's promises about a packet, written as sentences about packets and without its
 * rules, sections, chains or library: the tests hold the one against the other.
 */

const numbers = new Map<string, bigint>();
const bounds = new Map<string, readonly [bigint, bigint]>();
const groups = new Map<string, boolean>();
const endpoints = new WeakMap<Policy, readonly Endpoint[]>();

function numberOf(text: string): bigint {
  const known = numbers.get(text) ?? addressNumber(text);
  numbers.set(text, known);
  return known;
}

function boundsOf(prefix: string): readonly [bigint, bigint] {
  const known = bounds.get(prefix) ?? prefixBounds(prefix);
  bounds.set(prefix, known);
  return known;
}

/** Whether an address lies in a prefix such as `10.8.0.0/24`. */
export function liesIn(address: Address, prefix: string): boolean {
  if ((address.family === 'ipv6') !== prefix.includes(':')) return false;
  const [first, last] = boundsOf(prefix);
  const number = numberOf(address.text);
  return first <= number && number <= last;
}

const liesInAny = (address: Address, prefixes: readonly string[]) =>
  prefixes.some((prefix) => liesIn(address, prefix));
const prefixesOf = (networks: readonly Network[]) => networks.map(({ text }) => text);
const isOneOf = (address: Address, addresses: readonly Address[]) =>
  addresses.some(({ text }) => text === address.text);

const DHCP_SERVERS = [
  '255.255.255.255/32',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '100.64.0.0/10',
  'ff02::1:2/128',
  'ff05::1:3/128',
  'fe80::/10',
];
const GROUPS = ['224.0.0.0/24', '239.0.0.0/8', '255.255.255.255/32', 'ff02::/16', 'ff05::/16'];
const LINK_LOCAL = 'fe80::/10';
const LINK_GROUPS = 'ff02::/16';
/** Where neighbour discovery may ask and answer. */
const NEIGHBOUR_PLACES = ['fe80::/10', 'fc00::/7', 'ff02::/16'];
/** Destination unreachable, time exceeded, parameter problem, and for IPv6 packet too big. */
const ERRORS = { ipv4: [3, 11, 12], ipv6: [1, 2, 3, 4] };

const transportOf = ({ payload }: Packet) => ('transport' in payload ? payload : undefined);
const icmpOf = ({ payload }: Packet) => ('icmp' in payload ? payload.icmp : undefined);
const isIpv6 = ({ to }: Packet) => to.family === 'ipv6';

/** To a resolver's port: DNS, or DNS over TLS and QUIC. */
export function asksResolver(packet: Packet): boolean {
  const port = transportOf(packet)?.toPort;
  return port === 53 || port === 853;
}

/** To any port names are asked on, LLMNR's among them. */
export function asksNames(packet: Packet): boolean {
  return asksResolver(packet) || transportOf(packet)?.toPort === 5355;
}

/** To an endpoint's very address, port and transport. */
export function goesTo(endpoints: readonly Endpoint[], packet: Packet): boolean {
  const payload = transportOf(packet);
  return endpoints.some(
    ({ address, port, transport }) =>
      address.text === packet.to.text &&
      port === payload?.toPort &&
      transport === payload.transport,
  );
}

export function endpointsOf(policy: Policy): readonly Endpoint[] {
  const known = endpoints.get(policy) ?? [
    ...policy.base.endpoints,
    ...tunnelsOf(policy).flatMap((tunnel) => tunnel.endpoints),
  ];
  endpoints.set(policy, known);
  return known;
}

/** Whether a packet is the VPN client's own. */
export function isOwners({ base }: Policy, { uid, mark }: Packet): boolean {
  if (base.owners === undefined) return true;
  return base.owners.some((owner) =>
    owner.kind === 'uid' ? owner.uid === uid : owner.mark === mark,
  );
}

const uses = (services: readonly Service[], packet: Packet, port: 'fromPort' | 'toPort') => {
  const payload = transportOf(packet);
  return (
    payload !== undefined &&
    services.some(
      ({ ports, transport }) =>
        transport === payload.transport &&
        ports.first <= payload[port] &&
        payload[port] <= ports.last,
    )
  );
};

/** Whether a tunnel may carry packets of this one's family. */
export function carries({ base }: Policy, { addresses }: Tunnel, packet: Packet): boolean {
  return (
    !isIpv6(packet) || (base.ipv6 === 'tunnel' && addresses.some(({ family }) => family === 'ipv6'))
  );
}

const isDhcp = (packet: Packet, from: 'client' | 'server') => {
  const payload = transportOf(packet);
  if (payload?.transport !== 'udp') return false;
  const [client, server] = isIpv6(packet) ? [546, 547] : [68, 67];
  return from === 'client'
    ? payload.fromPort === client && payload.toPort === server && liesInAny(packet.to, DHCP_SERVERS)
    : payload.fromPort === server &&
        payload.toPort === client &&
        (!isIpv6(packet) || liesIn(packet.from, LINK_LOCAL));
};

/** Root's, or an account's that a DHCP client runs as. */
const asksForAddress = ({ base }: Policy, packet: Packet) =>
  isDhcp(packet, 'client') && (packet.uid === 0 || base.dhcpUids.some((uid) => uid === packet.uid));

const isNeighbours = (packet: Packet) => {
  const type = icmpOf(packet);
  if (!isIpv6(packet) || type === undefined) return false;
  if (packet.hook === 'input')
    return (
      type === 135 || type === 136 || ([130, 134].includes(type) && liesIn(packet.from, LINK_LOCAL))
    );
  if (type === 135 || type === 136) return liesInAny(packet.to, NEIGHBOUR_PLACES);
  const isShort = type === 133 || packet.bytes === undefined || packet.bytes <= 176;
  return [131, 132, 133, 143].includes(type) && liesIn(packet.to, LINK_GROUPS) && isShort;
};

/**
 * An error that belongs to a packet sent before: nothing else that the kernel calls related counts.
 */
const isRelatedError = (packet: Packet) =>
  packet.conntrack === 'related' && ERRORS[packet.to.family].includes(icmpOf(packet) ?? -1);
const isAnswer = (packet: Packet) => packet.conntrack === 'established' || isRelatedError(packet);

/** The answer that the rest of a fragmented packet never came. */
const tellsOfFragments = (packet: Packet) =>
  icmpOf(packet) === (isIpv6(packet) ? 3 : 11) &&
  'icmpCode' in packet.payload &&
  packet.payload.icmpCode === 1;

const isPing = (packet: Packet) => icmpOf(packet) === (isIpv6(packet) ? 128 : 8);

/** Into a tunnel: its resolvers, then what the settings let through it. */
function mayEnter(policy: Policy, tunnel: Tunnel, packet: Packet): boolean {
  const { base } = policy;
  if (!carries(policy, tunnel, packet)) return false;
  if (asksResolver(packet) && isOneOf(packet.to, base.dns ?? tunnel.resolvers)) return true;
  if (asksNames(packet)) return false;
  return (
    base.tunnelPorts === undefined || uses(base.tunnelPorts, packet, 'toPort') || isPing(packet)
  );
}

/**
 * In a network of a tunnel that reconnects, or of an earlier connection where the settings do not
 * list the LAN.
 */
export function isKeptShut({ base, former }: Policy, address: Address): boolean {
  return former.some(
    ({ kind, networks }) =>
      (kind === 'reconnecting' || (kind === 'remembered' && base.remembers)) &&
      liesInAny(address, prefixesOf(networks)),
  );
}

/** To the address of a tunnel that is not live, unless a live one has it. */
export function isToFormer(policy: Policy, { in: device, to }: Packet): boolean {
  if (tunnelsOf(policy).some(({ addresses }) => isOneOf(to, addresses))) return false;
  return policy.former.some((each) => each.device !== device && isOneOf(to, each.addresses));
}

/**
 * Off the tunnels, apart from the client's packets, DHCP and neighbours: the LAN, and nothing that
 * goes to a resolver, an endpoint or a tunnel's network.
 */
function mayReachLan(policy: Policy, packet: Packet): boolean {
  const { base } = policy;
  if (asksResolver(packet) && isOneOf(packet.to, base.lanDns)) return true;
  if (asksNames(packet) || goesTo(endpointsOf(policy), packet)) return false;
  if (tunnelsOf(policy).some(({ networks }) => liesInAny(packet.to, prefixesOf(networks))))
    return false;
  if (isKeptShut(policy, packet.to)) return false;
  return base.lan.some(({ network, service }) => {
    if (!liesIn(packet.to, network.text)) return false;
    if (service === undefined || uses([service], packet, 'toPort')) return true;
    return packet.conntrack === 'established' && uses(base.lanInbound, packet, 'fromPort');
  });
}

/** Of a session that a person locked from: both ends and both ports. */
export function isOfSession({ base }: Policy, { hook, from, to, payload }: Packet): boolean {
  if (!('transport' in payload) || payload.transport !== 'tcp') return false;
  if (base.ipv6 === 'block' && from.family === 'ipv6') return false;
  const [own, other] = hook === 'input' ? [to, from] : [from, to];
  const [ownPort, otherPort] =
    hook === 'input' ? [payload.toPort, payload.fromPort] : [payload.fromPort, payload.toPort];
  return base.sessions.some(
    ({ here, herePort, there, therePort }) =>
      here.text === own.text &&
      herePort === ownPort &&
      there.text === other.text &&
      therePort === otherPort,
  );
}

/**
 * In a portal: names of its resolvers for its askers, the web of its networks for its user, by its
 * uplink and in its time.
 */
export function isOfPortal(policy: Policy, packet: Packet): boolean {
  const payload = transportOf(packet);
  if (policy.state !== 'portal' || payload === undefined || packet.out !== policy.portal.uplink)
    return false;
  const { portal } = policy;
  if (packet.at !== undefined && (packet.at < portal.from || packet.at > portal.until))
    return false;
  if (
    payload.toPort === 53 &&
    portal.askers.some((uid) => uid === packet.uid) &&
    isOneOf(packet.to, portal.resolvers)
  )
    return true;
  const isWeb = payload.transport === 'tcp' && (payload.toPort === 80 || payload.toPort === 443);
  return isWeb && packet.uid === portal.uid && liesInAny(packet.to, prefixesOf(portal.networks));
}

/** Whether it carries the address of a tunnel that it does not leave by. */
const pretends = (policy: Policy, packet: Packet) => {
  const owners = tunnelsOf(policy).filter(({ addresses }) => isOneOf(packet.from, addresses));
  if (owners.length > 0) return owners.some(({ device }) => device !== packet.out);
  return policy.former.some(
    ({ device, addresses }) => device !== packet.out && isOneOf(packet.from, addresses),
  );
};

/**
 * The verdict of the rules for leaving from the tunnels on; `packet` is not the client's, nor for
 * the link.
 */
function mayLeaveByItsWay(policy: Policy, packet: Packet): boolean {
  const { base } = policy;
  const tunnel = tunnelsOf(policy).find(({ device }) => device === packet.out);
  if (tunnel === undefined) {
    if (isOfPortal(policy, packet) && !goesTo(endpointsOf(policy), packet)) return true;
    if (isIpv6(packet) && base.ipv6 === 'block') return false;
    return mayReachLan(policy, packet) || (isOfSession(policy, packet) && !asksNames(packet));
  }
  if (mayEnter(policy, tunnel, packet)) return true;
  const answers =
    packet.conntrack === 'established' && uses(base.tunnelInbound, packet, 'fromPort');
  return answers && carries(policy, tunnel, packet) && !asksNames(packet);
}

/** The client's packets, and what a link needs. */
/**
 * Whether an interface is one of `KILLSWITCH_FORWARD`: by name, or by the beginning that stands
 * before a star.
 */
export function isListed(policy: Policy, name: string | undefined): boolean {
  return (
    name !== undefined &&
    policy.base.forward.some((each) => {
      const [head = '', star] = each.split(/(?=\*$)/);
      if (star === undefined) return name === head;
      return (
        name.startsWith(head) && !tunnelsOf(policy).some(({ device }) => device.startsWith(head))
      );
    })
  );
}

function keepsLink(policy: Policy, packet: Packet): boolean {
  if (isIpv6(packet) && policy.base.ipv6 === 'block') return false;
  return (
    (isOwners(policy, packet) && goesTo(endpointsOf(policy), packet)) ||
    asksForAddress(policy, packet) ||
    isNeighbours(packet)
  );
}

/** By the interface that it was routed to at first. */
function maySetOut(policy: Policy, packet: Packet): boolean {
  if (packet.out === 'lo' || keepsLink(policy, packet)) return true;
  const madeByKernel = tunnelsOf(policy).flatMap(({ offloaded, endpoints }) =>
    offloaded === true ? endpoints : [],
  );
  const tunnel = tunnelsOf(policy).find(({ device }) => device === packet.out);
  if (
    tunnel === undefined &&
    goesTo(madeByKernel, packet) &&
    !(isIpv6(packet) && policy.base.ipv6 === 'block')
  )
    return true;
  return mayLeaveByItsWay(policy, packet);
}

/** By the interface that it really leaves by. */
function mayLeave(policy: Policy, packet: Packet): boolean {
  if (packet.out === 'lo' || keepsLink(policy, packet)) return true;
  if (pretends(policy, packet) || tellsOfFragments(packet)) return false;
  const outOf = tunnelsOf(policy).find(({ device }) => device === packet.in);
  const into = tunnelsOf(policy).find(({ device }) => device === packet.out);
  if (outOf !== undefined && into === undefined) {
    const blocked = isIpv6(packet) && policy.base.ipv6 === 'block';
    if (!blocked && outOf.offloaded === true && goesTo(endpointsOf(policy), packet)) return true;
    if (!blocked && isListed(policy, packet.out) && isAnswer(packet)) return true;
  }
  return mayLeaveByItsWay(policy, packet);
}

function mayComeIn(policy: Policy, packet: Packet): boolean {
  const { base } = policy;
  if (packet.in === 'lo') return true;
  const tunnels = tunnelsOf(policy);
  const tunnel = tunnels.find(({ device }) => device === packet.in);
  if (tunnel !== undefined) {
    if (!carries(policy, tunnel, packet)) return false;
    const type = icmpOf(packet);
    const near =
      isOneOf(packet.to, tunnel.addresses) || liesInAny(packet.to, [LINK_LOCAL, LINK_GROUPS]);
    if (isIpv6(packet) && (type === 135 || type === 136) && near) return true;
    if (tunnel.addresses.length > 0 && !isOneOf(packet.to, tunnel.addresses)) return false;
    if (
      tunnels.some(({ device, addresses }) => device !== packet.in && isOneOf(packet.to, addresses))
    )
      return false;
    if (isToFormer(policy, packet)) return false;
    return isAnswer(packet) || uses(base.tunnelInbound, packet, 'toPort');
  }
  if (tunnels.some(({ addresses }) => isOneOf(packet.to, addresses)) || isToFormer(policy, packet))
    return false;
  if (isOfSession(policy, packet)) return true;
  if (isIpv6(packet) && base.ipv6 === 'block') return false;
  if (isAnswer(packet) || isDhcp(packet, 'server') || isNeighbours(packet)) return true;
  const lan = prefixesOf(base.lan.map(({ network }) => network)).filter(
    (prefix) => !isGroupPrefix(prefix),
  );
  return (
    liesInAny(packet.from, lan) &&
    (uses(base.lanInbound, packet, 'toPort') || answersQuestion(policy, packet))
  );
}

/**
 * A datagram to where a question to many left from, where the settings let such questions of its
 * family leave.
 */
function answersQuestion({ base }: Policy, packet: Packet): boolean {
  const isUdp = 'transport' in packet.payload && packet.payload.transport === 'udp';
  const mayAsk = base.lan.some(
    ({ network, service }) =>
      (service === undefined || service.transport === 'udp') &&
      (isIpv6(packet)
        ? network.family === 'ipv6' && isGroupPrefix(network.text)
        : network.family === 'ipv4'),
  );
  return packet.asked === true && isUdp && mayAsk;
}

function isGroupPrefix(prefix: string): boolean {
  const known = groups.get(prefix);
  if (known !== undefined) return known;
  const [first, last] = boundsOf(prefix);
  const found = GROUPS.some((group) => {
    const [from, to] = boundsOf(group);
    return group.includes(':') === prefix.includes(':') && from <= first && last <= to;
  });
  groups.set(prefix, found);
  return found;
}

function mayBeForwarded(policy: Policy, packet: Packet): boolean {
  const listed = (name: string | undefined) => isListed(policy, name);
  const tunnels = tunnelsOf(policy);
  const into = tunnels.find(({ device }) => device === packet.out);
  if (into !== undefined && listed(packet.in)) return mayEnter(policy, into, packet);
  const outOf = tunnels.find(({ device }) => device === packet.in);
  return (
    outOf !== undefined && listed(packet.out) && isAnswer(packet) && carries(policy, outOf, packet)
  );
}

/** The verdict that a packet must get under a policy. */
export function promised(policy: Policy, packet: Packet): 'accept' | 'drop' | 'reject' {
  if (packet.bridged === true && (packet.hook === 'forward' || packet.hook === 'postrouting'))
    return 'accept';
  switch (packet.hook) {
    case 'output':
      return maySetOut(policy, packet) ? 'accept' : policy.base.refuse;
    case 'postrouting':
      return mayLeave(policy, packet) ? 'accept' : 'drop';
    case 'input':
      return mayComeIn(policy, packet) ? 'accept' : 'drop';
    case 'forward':
      return mayBeForwarded(policy, packet) ? 'accept' : 'drop';
    default:
      return packet.hook satisfies never;
  }
}
