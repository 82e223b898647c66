import { parseAddress } from '../net/address.ts';
import { contains, networkOf, parseNetwork } from '../net/network.ts';
import { INTERNET, LAN, PORTS } from './addresses.ts';
import { type Packet, PROTOCOL } from './frame.ts';
import { ENDPOINT_PROBES, markedName, PROBER_PORTS, PROBES, type Transport } from './probes.ts';

/**
 * The messages that a host must send on its link: ARP, neighbour and router discovery (RFC 4861),
 * multicast listeners (RFC 2710, RFC 3810), DHCP.
 */
export type NeighbourWord = 'ARP' | 'NDP' | 'MLD' | 'DHCP';

/**
 * The kind of a packet that left the client: a message that any host must send to its neighbours,
 * OpenVPN's own packet, one that a user may send to the LAN, or any other, in clear. `name` is the
 * probe it belongs to, or its protocol and destination.
 */
export type Sorted =
  | { readonly sort: 'neighbour'; readonly name: NeighbourWord }
  | { readonly sort: 'vpn' | 'lan' }
  | { readonly sort: 'clear'; readonly name: string };

const LAN_NETWORKS = LAN.networks.flatMap((text) => parseNetwork(text) ?? []);
const NDP_TYPES = [133, 134, 135, 136];
const MLD_TYPES = [130, 131, 132, 143];
/** Broadcast and the router (RFC 2131 4.1), all DHCPv6 servers of the link (RFC 8415 7.1). */
const DHCP_SERVERS = ['255.255.255.255', LAN.router4, 'ff02::1:2'];
const NAME_PORTS: readonly (number | undefined)[] = [PORTS.dns, PORTS.encryptedDns];

function neighbourWord({
  kind,
  protocol,
  icmpType = 0,
  destination,
  sourcePort,
  destinationPort,
}: Packet): NeighbourWord | undefined {
  if (kind === 'arp') return 'ARP';
  if (protocol === PROTOCOL.icmpv6) {
    if (NDP_TYPES.includes(icmpType)) return 'NDP';
    return MLD_TYPES.includes(icmpType) ? 'MLD' : undefined;
  }
  const dhcp =
    (sourcePort === 68 && destinationPort === 67) ||
    (sourcePort === 546 && destinationPort === 547);
  return protocol === PROTOCOL.udp && dhcp && DHCP_SERVERS.includes(destination)
    ? 'DHCP'
    : undefined;
}

function isOfProber({ protocol, sourcePort }: Packet): boolean {
  return (
    protocol === PROTOCOL.tcp &&
    sourcePort !== undefined &&
    sourcePort >= PROBER_PORTS.first &&
    sourcePort <= PROBER_PORTS.last
  );
}

function isVpn({ destination, destinationPort, protocol }: Packet, transport: Transport): boolean {
  const servers: readonly string[] =
    destinationPort === PORTS.otherVpn
      ? [INTERNET.moved4]
      : [INTERNET.vpn4, INTERNET.moved4, INTERNET.vpn6];
  return (
    servers.includes(destination) &&
    (destinationPort === PORTS.vpn || destinationPort === PORTS.otherVpn) &&
    protocol === PROTOCOL[transport]
  );
}

function isLan({ destination, destinationPort }: Packet): boolean {
  const address = parseAddress(destination);
  if (address === undefined || NAME_PORTS.includes(destinationPort)) return false;
  return LAN_NETWORKS.some((network) => contains(network, networkOf(address)));
}

function nameByAddress({ kind, protocol, destination, destinationPort }: Packet): string {
  const probe = [...PROBES, ...ENDPOINT_PROBES].find(
    ({ transport, address, port }) =>
      protocol === PROTOCOL[transport] && destination === address && destinationPort === port,
  );
  return (
    probe?.name ?? `${kind} protocol ${protocol} to ${destination} ${destinationPort ?? ''}`.trim()
  );
}

/** Sorts a packet that left the client. `transport` is the VPN's. */
export function sortPacket(packet: Packet, transport: Transport): Sorted {
  const marked = markedName(packet.bytes);
  if (marked !== undefined) return { sort: 'clear', name: marked };
  const word = neighbourWord(packet);
  if (word !== undefined) return { sort: 'neighbour', name: word };
  if (!isOfProber(packet)) {
    if (isVpn(packet, transport)) return { sort: 'vpn' };
    if (isLan(packet)) return { sort: 'lan' };
  }
  return { sort: 'clear', name: nameByAddress(packet) };
}
