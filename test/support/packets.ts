import { FAMILIES, type Family } from '../../src/net/address.ts';
import {
  DHCP,
  ECHO_REQUEST,
  ICMP_ERRORS,
  ICMPV6,
  REASSEMBLY_EXCEEDED,
} from '../../src/net/well-known.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import { HOOKS, type Hook } from '../../src/ruleset/ruleset.ts';
import { LOOPBACK_ADDRESS, OWN_LAN, OWN_SECOND, type Pair, PLACES, type Place } from './places.ts';
import { CLIENT_MARK } from './policies.ts';

/** `eth0` is the uplink; the names of policies' tunnels are `tun0` and `tun1`. */
export const INTERFACES = ['lo', 'eth0', 'tun0', 'tun1', 'docker0'] as const;
export type Interface = (typeof INTERFACES)[number];

export const PORTS = [22, 53, 80, 443, 853, 1194, 5355] as const;
export const CONNTRACK = ['new', 'established', 'related'] as const;
/** A port no rule names, for the other end of a connection. */
export const ANY_PORT = 40000;

/** The owner of the socket that a packet of this machine comes from. */
export const SENDERS = [
  { uid: 0, mark: 0 },
  { uid: 1000, mark: 0 },
  { uid: 1000, mark: CLIENT_MARK },
] as const;

/**
 * A packet with the words it was made from. `iface` is where it leaves (output, forward) or comes
 * in (input).
 */
export interface PacketClass {
  readonly packet: Packet;
  readonly iface: Interface;
  readonly place: Place;
}

/** The parts that may be narrowed; the rest is the whole product. */
export interface Narrowed {
  readonly hooks?: readonly Hook[];
  readonly interfaces?: readonly Interface[];
  readonly families?: readonly Family[];
  readonly places?: readonly Place[];
}

const OWN: Readonly<Record<Interface, Pair>> = {
  lo: LOOPBACK_ADDRESS,
  eth0: OWN_LAN,
  tun0: PLACES['own address in the tunnel'],
  tun1: OWN_SECOND,
  docker0: OWN_LAN,
};

/**
 * Payloads on their way out; `answer`: those of a service here, whose own port is the one that
 * counts.
 */
function* payloads(
  family: Family,
  towards: 'server' | 'client',
  answer: boolean,
): Generator<Packet['payload']> {
  for (const transport of ['tcp', 'udp'] as const)
    for (const port of PORTS)
      yield answer
        ? { transport, fromPort: port, toPort: ANY_PORT }
        : { transport, fromPort: ANY_PORT, toPort: port };
  const { client, server } = DHCP[family];
  yield towards === 'server'
    ? { transport: 'udp', fromPort: client, toPort: server }
    : { transport: 'udp', fromPort: server, toPort: client };
  yield { icmp: ECHO_REQUEST[family] };
  for (const type of ICMP_ERRORS[family]) yield { icmp: type };
  yield { icmp: REASSEMBLY_EXCEEDED[family].type, icmpCode: REASSEMBLY_EXCEEDED[family].code };
  if (family === 'ipv6') for (const type of Object.values(ICMPV6)) yield { icmp: type };
}

/** Packets that were forwarded, or that the kernel itself makes, come from no socket. */
function sendersOf(
  hook: Hook,
  { in: from, bridged }: Pick<Packet, 'in' | 'bridged'>,
): readonly Pick<Packet, 'uid' | 'mark'>[] {
  const nobody = { uid: undefined, mark: 0 };
  if (hook === 'output') return SENDERS;
  return hook === 'postrouting' && from === undefined && bridged !== true
    ? [...SENDERS, nobody]
    : [nobody];
}

function isGroup(place: Place): boolean {
  return place === 'multicast' || place === 'broadcast';
}

function* endsOf(
  hook: Hook,
  iface: Interface,
  place: Place,
  family: Family,
): Generator<Pick<Packet, 'in' | 'out' | 'from' | 'to' | 'bridged' | 'asked'>> {
  const there = PLACES[place][family];
  const own = OWN[iface][family];
  const host = PLACES['LAN host'][family];
  switch (hook) {
    case 'output':
      yield { in: undefined, out: iface, from: own, to: there };
      return;
    case 'input':
      // Nobody sends from these: they are where a packet goes to.
      if (isGroup(place) || place === 'own address in the tunnel')
        yield { in: iface, out: undefined, from: host, to: there };
      else yield { in: iface, out: undefined, from: there, to: own };
      // To where a question to many left from.
      if (!isGroup(place) && iface === 'eth0')
        yield { in: iface, out: undefined, from: there, to: own, asked: true };
      return;
    case 'forward':
      for (const from of INTERFACES)
        if (from !== iface && from !== 'lo' && iface !== 'lo')
          yield { in: from, out: iface, from: host, to: there };
      // Routed back to where it came from, and between two ports of a bridge.
      if (iface !== 'docker0') return;
      yield { in: iface, out: iface, from: host, to: there };
      yield { in: iface, out: iface, from: host, to: there, bridged: true };
      return;
    case 'postrouting':
      yield { in: undefined, out: iface, from: own, to: there };
      if (iface !== 'tun0') yield { in: undefined, out: iface, from: OWN.tun0[family], to: there };
      for (const from of ['tun0', 'docker0'] as const)
        if (from !== iface && iface !== 'lo') yield { in: from, out: iface, from: host, to: there };
      if (iface === 'docker0')
        yield { in: undefined, out: iface, from: host, to: there, bridged: true };
      return;
    default:
      hook satisfies never;
  }
}

/**
 * Every class of packets: hook, interface, family, place, transport and port or ICMP type,
 * conntrack state, and for this machine's own packets the sender. Established and related ones come
 * twice: as a client's and as a service's.
 */
export function* packetClasses({
  hooks = HOOKS,
  interfaces = INTERFACES,
  families = FAMILIES,
  places = Object.keys(PLACES) as readonly Place[],
}: Narrowed = {}): Generator<PacketClass> {
  for (const hook of hooks)
    for (const iface of interfaces)
      for (const family of families)
        for (const place of places)
          for (const ends of endsOf(hook, iface, place, family))
            for (const conntrack of CONNTRACK)
              for (const answer of conntrack === 'new' ? [false] : [false, true])
                for (const payload of payloads(
                  family,
                  hook === 'input' ? 'client' : 'server',
                  answer,
                ))
                  for (const sender of sendersOf(hook, ends))
                    yield {
                      packet: { hook, ...ends, payload, conntrack, ...sender },
                      iface,
                      place,
                    };
}

/** A packet in words, for the message of a failing test. */
export function describePacket({
  hook,
  in: from,
  out,
  to,
  from: source,
  payload,
  conntrack,
  uid,
  mark,
  bridged,
  asked,
}: Packet): string {
  const what =
    'transport' in payload
      ? `${payload.transport} ${payload.fromPort} > ${payload.toPort}`
      : 'icmp' in payload
        ? `icmp type ${payload.icmp}`
        : `protocol ${payload.protocol}`;
  const who =
    uid === undefined ? '' : ` uid ${uid}${mark === 0 ? '' : ` mark 0x${mark.toString(16)}`}`;
  return `${hook} ${from ?? ''}>${out ?? ''} ${source.text} > ${to.text} ${what} ${conntrack}${who}${bridged === true ? ' bridged' : ''}${asked === true ? ' asked' : ''}`;
}
