import { INTERNET, LAN, PORTS } from './addresses.ts';

/** One kind of payload that must not leave the uplink in clear. */
export interface Probe {
  readonly name: string;
  readonly transport: 'udp' | 'tcp';
  readonly address: string;
  readonly port: number;
  /** Whether the payload is a DNS query; the marker is then in its name. */
  readonly question: boolean;
}

export type Transport = Probe['transport'];

/**
 * The account that probes run as: only the endpoint's owner may send packets there, and this is
 * another account.
 */
export const NOBODY = 65534;

/**
 * The only source ports of the prober, so that its SYN to the VPN server is never taken for
 * OpenVPN's own.
 */
export const PROBER_PORTS = { first: 10_000, last: 29_999 } as const;

const MARK = 'leakprobe';

function probe(
  name: string,
  transport: Transport,
  address: string,
  port: number,
  question = false,
): Probe {
  return { name, transport, address, port, question };
}

/** The kinds that every user can send. */
export const PROBES: readonly Probe[] = [
  probe('web-udp4', 'udp', INTERNET.web4, PORTS.echo),
  probe('web-udp6', 'udp', INTERNET.web6, PORTS.echo),
  probe('isp-dns4', 'udp', INTERNET.resolver4, PORTS.dns, true),
  probe('isp-dns6', 'udp', INTERNET.resolver6, PORTS.dns, true),
  probe('lan-dns4', 'udp', LAN.router4, PORTS.dns, true),
  probe('lan-dns6', 'udp', LAN.router6, PORTS.dns, true),
  probe('lan-encrypted-dns', 'udp', LAN.router4, PORTS.encryptedDns, true),
  probe('lan-dns-tcp', 'tcp', LAN.router4, PORTS.dns),
  probe('lan-encrypted-dns-tcp', 'tcp', LAN.router6, PORTS.encryptedDns),
  probe('web-tcp4', 'tcp', INTERNET.web4, PORTS.web),
  probe('web-tcp6', 'tcp', INTERNET.web6, PORTS.web),
];

/**
 * Payloads to the VPN server's own address and port: only a user other than OpenVPN's can send
 * packets that must be dropped there.
 */
export const ENDPOINT_PROBES: readonly Probe[] = [
  probe('endpoint-udp', 'udp', INTERNET.vpn4, PORTS.vpn),
  probe('endpoint-tcp', 'tcp', INTERNET.vpn4, PORTS.vpn),
];

/**
 * Makes a marker: unique in its run, and short enough for a label of a DNS name (RFC 1035 2.3.4).
 */
export function marker(name: string, sequence: number): string {
  return `${MARK}-${name}-${String(sequence).padStart(8, '0')}`;
}

/** Returns the name of the probe whose marker stands anywhere in these bytes. */
export function markedName(bytes: Buffer): string | undefined {
  const at = bytes.indexOf(MARK);
  if (at < 0) return undefined;
  return (
    /^-([a-z0-9-]+?)-\d{8}/.exec(
      bytes.toString('latin1', at + MARK.length, at + MARK.length + 64),
    )?.[1] ?? 'cut off'
  );
}

/**
 * The prober's orders. Rates are per second: payloads over UDP, all kinds in turn, and connects for
 * each TCP kind.
 */
export interface ProberOrders {
  readonly probes: readonly Probe[];
  readonly payloads: number;
  readonly connects: number;
  /** Seconds until it ends by itself. */
  readonly seconds: number;
}

/** The prober's report, as lines of JSON: counts so far by the probe's name. */
export interface ProberReport {
  readonly uid: number;
  /** Milliseconds since it started. */
  readonly elapsed: number;
  readonly tried: Readonly<Record<string, number>>;
  /** Of these, the ones that send(2) or connect(2) refused. */
  readonly refused: Readonly<Record<string, number>>;
}
