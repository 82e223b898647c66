import ipaddr from 'ipaddr.js';

/** The parts of a frame that the proof needs. Ports are undefined for a packet without ports. */
export interface Packet {
  /** Source hardware address: `02:00:…`. */
  readonly from: string;
  readonly kind: 'ipv4' | 'ipv6' | 'arp' | 'other';
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  readonly icmpType: number | undefined;
  /** The same for all fragments of a datagram; undefined for a whole packet. */
  readonly datagram?: string;
  /** A fragment but the first: it has no header of its own, and so no ports. */
  readonly later?: true;
  /** Everything after the Ethernet header. */
  readonly bytes: Buffer;
}

const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
/** IANA protocol numbers. */
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;
/** The fragment header (RFC 8200 4.5). */
const FRAGMENT = 44;
/**
 * IPv6 extension headers that may stand before the payload: hop-by-hop, routing, destination
 * options (RFC 8200 4).
 */
const EXTENSIONS = [0, 43, 60];

function address(bytes: Buffer): string {
  return bytes.length === 4 ? bytes.join('.') : new ipaddr.IPv6([...bytes]).toRFC5952String();
}

function payloadOf(
  protocol: number,
  bytes: Buffer,
): Pick<Packet, 'protocol' | 'sourcePort' | 'destinationPort' | 'icmpType'> {
  const ported = (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp) && bytes.length >= 4;
  const icmp = (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6) && bytes.length >= 1;
  return {
    protocol,
    sourcePort: ported ? bytes.readUInt16BE(0) : undefined,
    destinationPort: ported ? bytes.readUInt16BE(2) : undefined,
    icmpType: icmp ? bytes[0] : undefined,
  };
}

type Payload = ReturnType<typeof payloadOf> & Pick<Packet, 'datagram' | 'later'>;

/** Reads the payload of a fragment that begins at `offset`, in units of eight bytes. */
function fragment(protocol: number, offset: number, datagram: string, bytes: Buffer): Payload {
  if (offset === 0) return { ...payloadOf(protocol, bytes), datagram };
  return { ...payloadOf(protocol, Buffer.alloc(0)), datagram, later: true };
}

/** RFC 791 3.1: identification, flags and fragment offset. */
function ipv4Payload(bytes: Buffer): Payload {
  const protocol = bytes[9] ?? 0;
  const payload = bytes.subarray(((bytes[0] ?? 0) & 0x0f) * 4);
  const [more, offset] = [(bytes.readUInt16BE(6) & 0x2000) !== 0, bytes.readUInt16BE(6) & 0x1fff];
  if (!more && offset === 0) return payloadOf(protocol, payload);
  return fragment(
    protocol,
    offset,
    `${bytes.toString('hex', 12, 20)} ${protocol} ${bytes.readUInt16BE(4)}`,
    payload,
  );
}

function ipv6Payload(bytes: Buffer): Payload {
  let next = bytes[6] ?? 0;
  let at = 40;
  while (EXTENSIONS.includes(next) && at + 2 <= bytes.length) {
    next = bytes[at] ?? 0;
    at += ((bytes[at + 1] ?? 0) + 1) * 8;
  }
  if (next !== FRAGMENT || at + 8 > bytes.length) return payloadOf(next, bytes.subarray(at));
  const datagram = `${bytes.toString('hex', 8, 40)} ${bytes.readUInt32BE(at + 4)}`;
  return fragment(
    bytes[at] ?? 0,
    bytes.readUInt16BE(at + 2) >> 3,
    datagram,
    bytes.subarray(at + 8),
  );
}

/**
 * Reads an Ethernet frame. A truncated or unknown one becomes `other`, never nothing: a leak must
 * not hide in a strange frame.
 */
export function readFrame(frame: Buffer): Packet {
  const from = frame
    .subarray(6, 12)
    .toString('hex')
    .replace(/..(?=.)/g, '$&:');
  const type = frame.length >= 14 ? frame.readUInt16BE(12) : 0;
  const bytes = frame.subarray(14);
  if (type === ETHERTYPE.ipv4 && bytes.length >= 20) {
    const ends = {
      source: address(bytes.subarray(12, 16)),
      destination: address(bytes.subarray(16, 20)),
    };
    return { from, kind: 'ipv4', bytes, ...ends, ...ipv4Payload(bytes) };
  }
  if (type === ETHERTYPE.ipv6 && bytes.length >= 40) {
    const ends = {
      source: address(bytes.subarray(8, 24)),
      destination: address(bytes.subarray(24, 40)),
    };
    return { from, kind: 'ipv6', bytes, ...ends, ...ipv6Payload(bytes) };
  }
  const kind = type === ETHERTYPE.arp ? 'arp' : 'other';
  return { from, kind, bytes, source: '', destination: '', ...payloadOf(-1, bytes) };
}
