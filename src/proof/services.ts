import { INTERNET, LAN, OTHER_VPN, PORTS, VPN } from './addresses.ts';

/**
 * The answers of a responder: to a datagram itself, to a DNS query the web host, to a request the
 * visitor's address.
 */
export type Service = 'echo' | 'dns' | 'web';

export interface Listener {
  readonly service: Service;
  readonly address: string;
  readonly port: number;
}

export interface ResponderOrders {
  readonly listeners: readonly Listener[];
}

function on(service: Service, port: number, ...addresses: readonly string[]): readonly Listener[] {
  return addresses.map((address) => ({ service, address, port }));
}

/** The web host, the ISP's resolver and the VPN's. */
export const INTERNET_LISTENERS: readonly Listener[] = [
  ...on('echo', PORTS.echo, INTERNET.web4, INTERNET.web6),
  ...on('web', PORTS.web, INTERNET.web4, INTERNET.web6),
  ...on('dns', PORTS.dns, INTERNET.resolver4, INTERNET.resolver6, VPN.resolver4, VPN.resolver6),
  ...on('dns', PORTS.dns, OTHER_VPN.resolver4, OTHER_VPN.resolver6),
];

/** The router's own resolver, and another host of the LAN. */
export const LAN_LISTENERS: readonly Listener[] = [
  ...on('dns', PORTS.dns, LAN.router4, LAN.router6),
  ...on('dns', PORTS.encryptedDns, LAN.router4),
  ...on('web', PORTS.dns, LAN.router4),
  ...on('web', PORTS.encryptedDns, LAN.router6),
  ...on('echo', PORTS.echo, LAN.host4, LAN.host6),
  ...on('web', PORTS.web, LAN.host4, LAN.host6),
  ...on('dns', PORTS.dns, LAN.host4),
];

/** The web host's addresses as DNS carries them. */
export const WEB_ADDRESSES = {
  A: Buffer.from([203, 0, 113, 80]),
  AAAA: Buffer.from('20010db8ffff00000000000000000080', 'hex'),
} as const;

/**
 * Returns a resolver's answer for the VPN server's name: the VPN's own resolvers know that it has
 * moved.
 */
export function vpnAddresses(resolver: string): { readonly A: Buffer } {
  const moved = resolver === VPN.resolver4 || resolver === VPN.resolver6;
  return { A: Buffer.from((moved ? INTERNET.moved4 : INTERNET.vpn4).split('.').map(Number)) };
}

/** One request that an unprivileged program makes once. */
export interface Visit {
  readonly name: string;
  readonly service: Service;
  readonly address: string;
  readonly port: number;
  readonly type?: 'A' | 'AAAA';
}

export interface VisitorOrders {
  readonly visits: readonly Visit[];
  /** Timeout of each answer. */
  readonly milliseconds: number;
}

/**
 * The results of the visits, by name: the answer as text, or null without one. A page's text is the
 * visitor's address as the web sees it.
 */
export type Visited = Readonly<Record<string, string | null>>;

/**
 * The things a user does with a VPN: pages and echoes on the web, names from the VPN's resolver.
 */
export const WEB_VISITS: readonly Visit[] = [
  { name: 'page4', service: 'web', address: INTERNET.web4, port: PORTS.web },
  { name: 'page6', service: 'web', address: INTERNET.web6, port: PORTS.web },
  { name: 'echo4', service: 'echo', address: INTERNET.web4, port: PORTS.echo },
  { name: 'echo6', service: 'echo', address: INTERNET.web6, port: PORTS.echo },
  { name: 'dns4', service: 'dns', address: VPN.resolver4, port: PORTS.dns, type: 'A' },
  { name: 'dns6', service: 'dns', address: VPN.resolver6, port: PORTS.dns, type: 'AAAA' },
];

/** The things a user does on the LAN. */
export const LAN_VISITS: readonly Visit[] = [
  { name: 'page4', service: 'web', address: LAN.host4, port: PORTS.web },
  { name: 'page6', service: 'web', address: LAN.host6, port: PORTS.web },
  { name: 'echo4', service: 'echo', address: LAN.host4, port: PORTS.echo },
  { name: 'echo6', service: 'echo', address: LAN.host6, port: PORTS.echo },
];

/** DNS of the LAN and of the ISP, in clear and encrypted, over UDP and TCP. */
export const FOREIGN_DNS_VISITS: readonly Visit[] = [
  { name: 'router udp 53', service: 'dns', address: LAN.router4, port: PORTS.dns },
  { name: 'router udp 53 over IPv6', service: 'dns', address: LAN.router6, port: PORTS.dns },
  { name: 'router udp 853', service: 'dns', address: LAN.router4, port: PORTS.encryptedDns },
  { name: 'router tcp 53', service: 'web', address: LAN.router4, port: PORTS.dns },
  { name: 'router tcp 853', service: 'web', address: LAN.router6, port: PORTS.encryptedDns },
  { name: 'LAN host udp 53', service: 'dns', address: LAN.host4, port: PORTS.dns },
  { name: 'ISP udp 53', service: 'dns', address: INTERNET.resolver4, port: PORTS.dns },
  { name: 'ISP udp 53 over IPv6', service: 'dns', address: INTERNET.resolver6, port: PORTS.dns },
];
