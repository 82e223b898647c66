import type { Transport } from './probes.ts';

/** A packet that a program on this machine tries to send past the tunnel. */
export interface HereProbe {
  readonly name: string;
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
}

const KINDS: readonly (readonly [name: string, transport: Transport, port: number])[] = [
  ['DNS over UDP', 'udp', 53],
  ['DNS over TCP', 'tcp', 53],
  ['DNS over TLS', 'tcp', 853],
  ['web over TCP', 'tcp', 443],
  ['web over QUIC', 'udp', 443],
  ['something over UDP', 'udp', 40_000],
  ['something over TCP', 'tcp', 40_000],
];

/**
 * Documentation addresses, which belong to no host (RFC 5737, RFC 3849): the first router drops a
 * packet that does leave.
 */
export const HERE_ADDRESSES = { ipv4: '192.0.2.77', ipv6: '2001:db8::4d' } as const;

const FAMILIES = [
  ['IPv4', HERE_ADDRESSES.ipv4],
  ['IPv6', HERE_ADDRESSES.ipv6],
] as const;

/** Every class of `prove --here` but ping. */
export const HERE_PROBES: readonly HereProbe[] = FAMILIES.flatMap(([family, address]) =>
  KINDS.map(([name, transport, port]) => ({
    name: `${name}, ${family}`,
    transport,
    address,
    port,
  })),
);

export interface HerePing {
  readonly name: string;
  readonly transport: 'icmp';
  readonly address: string;
}

export const HERE_PINGS: readonly HerePing[] = FAMILIES.map(([family, address]) => ({
  name: `ping, ${family}`,
  transport: 'icmp',
  address,
}));

/** The classes, each with the packets that identify it. */
export type HereClass = HereProbe | HerePing;
export const HERE_CLASSES: readonly HereClass[] = [...HERE_PROBES, ...HERE_PINGS];

/** The prober's orders, as JSON in its first argument. */
export interface HereOrders {
  /** How often each probe is sent from each source. */
  readonly rounds: number;
  /** Addresses of this machine to send from, besides the one that the routes choose. */
  readonly sources: readonly string[];
}
