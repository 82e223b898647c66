import type { Family } from './address.ts';
import { type InterfaceName, parseInterfaceName } from './interface-name.ts';
import type { Network } from './network.ts';
import { type Port, parsePort } from './port.ts';

/**
 * Builds networks from canonical text without parsing: parsing would take a hook longer than the
 * rest of its work with them.
 */
function networks(...texts: readonly string[]): readonly Network[] {
  return texts.map((text) => {
    const family = text.includes(':') ? 'ipv6' : 'ipv4';
    return { family, prefix: Number(text.slice(text.indexOf('/') + 1)), text } as Network;
  });
}

function port(number: number): Port {
  const parsed = parsePort(String(number));
  if (parsed === undefined) throw new TypeError(String(number));
  return parsed;
}

function interfaceName(text: string): InterfaceName {
  const parsed = parseInterfaceName(text);
  if (parsed === undefined) throw new TypeError(text);
  return parsed;
}

export const LOOPBACK: InterfaceName = interfaceName('lo');

/** Private (RFC 1918), link-local (RFC 3927, RFC 4291) and unique local (RFC 4193) networks. */
export const PRIVATE_NETWORKS: readonly Network[] = networks(
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  'fc00::/7',
  'fe80::/10',
);

/**
 * Local multicast and broadcast: RFC 5771 (224.0.0/24), RFC 2365 (239/8), RFC 919, RFC 4291 2.7
 * (scopes 2 and 5).
 */
export const LOCAL_MULTICAST: readonly Network[] = networks(
  '224.0.0.0/24',
  '239.0.0.0/8',
  '255.255.255.255/32',
  'ff02::/16',
  'ff05::/16',
);

/**
 * DNS (RFC 1035), DNS over TLS and QUIC (RFC 7858, RFC 9250), and LLMNR, which asks the whole LAN
 * for names (RFC 4795).
 */
export const DNS_PORT: Port = port(53);
export const ENCRYPTED_DNS_PORT: Port = port(853);
export const LLMNR_PORT: Port = port(5355);

/** HTTP and HTTPS over TCP (RFC 9110 4.2). */
export const WEB_PORTS: readonly Port[] = [port(80), port(443)];

/** Shared address space behind a provider's address translation (RFC 6598). */
export const SHARED_NETWORK: readonly Network[] = networks('100.64.0.0/10');

/**
 * DHCP ports (RFC 2131 4.1, RFC 8415 7.2) and where its clients may send: broadcast, servers on
 * private or shared space, RFC 8415 7.1.
 */
export const DHCP: Readonly<
  Record<Family, { readonly client: Port; readonly server: Port; readonly to: readonly Network[] }>
> = {
  ipv4: {
    client: port(68),
    server: port(67),
    to: networks(
      '255.255.255.255/32',
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '169.254.0.0/16',
      '100.64.0.0/10',
    ),
  },
  ipv6: {
    client: port(546),
    server: port(547),
    to: networks('ff02::1:2/128', 'ff05::1:3/128', 'fe80::/10'),
  },
};
export const LINK_LOCAL_IPV6: readonly Network[] = networks('fe80::/10');
/**
 * Where neighbour discovery may send: the link, and addresses that no router takes off the site
 * (RFC 4291, RFC 4193).
 */
export const NEIGHBOUR_NETWORKS: readonly Network[] = networks(
  'fe80::/10',
  'fc00::/7',
  'ff02::/16',
);
export const LINK_MULTICAST_IPV6: readonly Network[] = networks('ff02::/16');

/** ICMP echo request: RFC 792, RFC 4443. */
export const ECHO_REQUEST: Readonly<Record<Family, number>> = { ipv4: 8, ipv6: 128 };

/** ICMP errors about a packet sent earlier: RFC 792, RFC 4443 3. */
export const ICMP_ERRORS: Readonly<Record<Family, readonly number[]>> = {
  ipv4: [3, 11, 12],
  ipv6: [1, 2, 3, 4],
};

/**
 * "Fragment reassembly time exceeded": RFC 792 (type 11, code 1), RFC 4443 3.3 (type 3, code 1).
 */
export const REASSEMBLY_EXCEEDED: Readonly<
  Record<Family, { readonly type: number; readonly code: number }>
> = {
  ipv4: { type: 11, code: 1 },
  ipv6: { type: 3, code: 1 },
};

/** Neighbour discovery (RFC 4861 4) and multicast listener (RFC 2710, RFC 3810) message types. */
export const ICMPV6 = {
  listenerQuery: 130,
  listenerReport: 131,
  listenerDone: 132,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighbourSolicitation: 135,
  neighbourAdvertisement: 136,
  listenerReport2: 143,
} as const;
