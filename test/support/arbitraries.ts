import fc from 'fast-check';
import { type Address, type Family, isUnicast, parseAddress } from '../../src/net/address.ts';
import { type Endpoint, parseEndpoint } from '../../src/net/endpoint.ts';
import { parseInterfaceName } from '../../src/net/interface-name.ts';
import { parseInterfaces } from '../../src/net/interface-pattern.ts';
import { type Network, networkOf, width } from '../../src/net/network.ts';
import {
  type Port,
  parsePort,
  parseService,
  type Service,
  TRANSPORTS,
} from '../../src/net/port.ts';
import { LOCAL_MULTICAST, PRIVATE_NETWORKS } from '../../src/net/well-known.ts';
import { type Base, decide, type Owner, type Policy } from '../../src/policy/policy.ts';
import type { Portal } from '../../src/policy/portal.ts';
import type { LanEntry } from '../../src/policy/settings.ts';
import { FORMER_KINDS, type FormerTunnel } from '../../src/tunnel/former-tunnel.ts';
import type { Tunnel } from '../../src/tunnel/tunnel.ts';
import { PORTS } from './packets.ts';
import { PLACES, type Place } from './places.ts';
import { CLIENT_MARK, CLIENT_UID, formerOf, POLICIES } from './policies.ts';

function parsed<Value>(
  texts: fc.Arbitrary<string>,
  parse: (text: string) => Value | undefined,
): fc.Arbitrary<Value> {
  return texts.map(parse).filter((value) => value !== undefined);
}

/** Any IPv4 address, as text. */
export const ipv4Text: fc.Arbitrary<string> = fc
  .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((parts) => parts.join('.'));

/** Any IPv6 address, as text that need not be canonical: zeros in front, capitals, `::` or not. */
export const ipv6Text: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 }),
    fc.boolean(),
    fc.boolean(),
    fc.constantFrom('full', 'short'),
  )
  .map(([groups, capitals, padded, form]) => {
    const text = groups.map((group) => group.toString(16).padStart(padded ? 4 : 1, '0')).join(':');
    const spelled = capitals ? text.toUpperCase() : text;
    return form === 'short'
      ? spelled.replace(/(^|:)0+(:0+)+(?=:|$)/, (zeros) => (zeros.startsWith(':') ? ':' : '::'))
      : spelled;
  });

/** An address that the product accepts. */
export const anyAddress: fc.Arbitrary<Address> = parsed(fc.oneof(ipv4Text, ipv6Text), parseAddress);
export const hostAddress: fc.Arbitrary<Address> = anyAddress.filter(isUnicast);
export const anyPort: fc.Arbitrary<Port> = parsed(
  fc.integer({ min: 1, max: 65535 }).map((port) => String(port)),
  parsePort,
);
export const anyNetwork: fc.Arbitrary<Network> = anyAddress.chain((address) =>
  fc.integer({ min: 0, max: width(address.family) }).map((prefix) => networkOf(address, prefix)),
);
export const anyEndpoint: fc.Arbitrary<Endpoint> = fc.record({
  address: hostAddress,
  port: anyPort,
  transport: fc.constantFrom(...TRANSPORTS),
});
export const anyService: fc.Arbitrary<Service> = fc
  .tuple(anyPort, anyPort, fc.constantFrom(...TRANSPORTS))
  .map(([a, b, transport]) => ({
    ports: a < b ? { first: a, last: b } : { first: b, last: a },
    transport,
  }));

// From here on: values out of the places and ports that the classes of packets are made of, so that
// rules and packets meet.

const families: readonly Family[] = ['ipv4', 'ipv6'];
const places = Object.keys(PLACES) as readonly Place[];
const hostPlaces = places.filter((place) => place !== 'multicast' && place !== 'broadcast');

const knownAddress: fc.Arbitrary<Address> = fc
  .tuple(fc.constantFrom(...hostPlaces), fc.constantFrom(...families))
  .map(([place, family]) => PLACES[place][family]);
const knownService: fc.Arbitrary<Service> = parsed(
  fc
    .tuple(fc.constantFrom(...PORTS), fc.constantFrom(0, 0, 1, 300), fc.constantFrom(...TRANSPORTS))
    .map(([first, more, transport]) =>
      more === 0 ? `${first}/${transport}` : `${first}-${first + more}/${transport}`,
    ),
  parseService,
);
const knownEndpoint: fc.Arbitrary<Endpoint> = parsed(
  fc
    .tuple(knownAddress, fc.constantFrom(443, 1194, 53), fc.constantFrom(...TRANSPORTS))
    .map(([address, port, transport]) =>
      address.family === 'ipv6'
        ? `[${address.text}]:${port}/${transport}`
        : `${address.text}:${port}/${transport}`,
    ),
  parseEndpoint,
);
const knownNetwork: fc.Arbitrary<Network> = knownAddress.chain((address) =>
  fc
    .constantFrom(...(address.family === 'ipv4' ? [8, 16, 24, 25, 32] : [16, 48, 64, 121, 128]))
    .map((prefix) => networkOf(address, prefix)),
);
const lists = <Value>(item: fc.Arbitrary<Value>, maxLength = 3): fc.Arbitrary<readonly Value[]> =>
  fc.array(item, { maxLength });

const privateLan: readonly LanEntry[] = [...PRIVATE_NETWORKS, ...LOCAL_MULTICAST].map(
  (network) => ({ network, service: undefined }),
);
const anyLan: fc.Arbitrary<readonly LanEntry[]> = fc.oneof(
  fc.constant([]),
  fc.constant(privateLan),
  lists(
    fc.record({ network: knownNetwork, service: fc.option(knownService, { nil: undefined }) }),
    4,
  ),
);
const anyOwners: fc.Arbitrary<readonly Owner[] | undefined> = fc.constantFrom<
  readonly Owner[] | undefined
>(
  undefined,
  [],
  [{ kind: 'uid', uid: 0 }],
  [
    { kind: 'uid', uid: 0 },
    { kind: 'uid', uid: CLIENT_UID },
  ],
  [{ kind: 'uid', uid: 1000 }],
  [{ kind: 'mark', mark: CLIENT_MARK }],
);

/**
 * Any base whose values the settings can give, made of the places and ports of the packet classes.
 */
export const anyBase: fc.Arbitrary<Base> = fc
  .record({
    endpoints: lists(knownEndpoint),
    owners: anyOwners,
    dhcpUids: fc.constantFrom([], [1000]),
    lan: anyLan,
    remembers: fc.boolean(),
    lanInbound: lists(knownService),
    lanDns: fc.subarray([
      PLACES['LAN router'].ipv4,
      PLACES['LAN router'].ipv6,
      PLACES['LAN host'].ipv4,
    ]),
    tunnelPorts: fc.option(fc.array(knownService, { minLength: 1, maxLength: 3 }), {
      nil: undefined,
    }),
    tunnelInbound: lists(knownService),
    dns: fc.option(fc.array(knownAddress, { minLength: 1, maxLength: 2 }), { nil: undefined }),
    ipv6: fc.constantFrom('tunnel' as const, 'block' as const),
    forward: fc
      .subarray(['docker0', 'eth0', 'dock*'])
      .map((names) => names.flatMap((name) => parseInterfaces(name) ?? [])),
    refuse: fc.constantFrom('drop' as const, 'reject' as const),
    logDrops: fc.constantFrom(undefined, { count: 10, unit: 'minute' as const }),
    sessions: fc.constantFrom([], POLICIES['blocked, SSH sessions kept'].base.sessions),
  })
  // As the settings do: no ports for a LAN that is off, no IPv6 endpoint where IPv6 is blocked.
  .map((base) => ({
    ...base,
    lanInbound: base.lan.length === 0 ? [] : base.lanInbound,
    endpoints:
      base.ipv6 === 'block'
        ? base.endpoints.filter(({ address }) => address.family === 'ipv4')
        : base.endpoints,
  }));

const tunnelNamed = (name: string, own: Place): fc.Arbitrary<Tunnel> =>
  fc.record({
    device: parsed(fc.constant(name), parseInterfaceName),
    endpoints: lists(knownEndpoint, 2),
    addresses: fc.subarray([PLACES[own].ipv4, PLACES[own].ipv6]),
    resolvers: lists(knownAddress, 2),
    networks: lists(
      knownNetwork.filter(({ prefix }) => prefix >= 8),
      3,
    ),
    offloaded: fc.boolean(),
  });

/** No, one or two live tunnels. */
export const anyTunnels: fc.Arbitrary<readonly Tunnel[]> = fc
  .tuple(
    tunnelNamed('tun0', 'own address in the tunnel'),
    tunnelNamed('tun1', 'LAN host'),
    fc.constantFrom(0, 1, 1, 2),
  )
  .map(([first, second, count]) => [first, second].slice(0, count));

/** Up to two tunnels that reconnect, have ended or are remembered. */
export const anyFormer: fc.Arbitrary<readonly FormerTunnel[]> = fc.array(
  fc
    .tuple(
      fc.constantFrom(...FORMER_KINDS),
      fc.oneof(tunnelNamed('tun0', 'own address in the tunnel'), tunnelNamed('tun2', 'LAN host')),
    )
    .map(([kind, tunnel]) => formerOf(kind, tunnel)),
  { maxLength: 2 },
);

/** None, or one for a sender of the packet classes. */
const anyPortal: fc.Arbitrary<Portal | undefined> = fc.option(
  fc.record({
    uid: fc.constantFrom(1000, CLIENT_UID),
    uplink: parsed(fc.constantFrom('eth0', 'docker0'), parseInterfaceName),
    networks: lists(knownNetwork.filter(({ family }) => family === 'ipv4')),
    resolvers: lists(knownAddress.filter(({ family }) => family === 'ipv4')),
    askers: fc.subarray([0, 1000, CLIENT_UID]),
    from: fc.constant(1_000_000_000),
    until: fc.constant(2_000_000_000),
  }),
  { nil: undefined },
);

export const anyPolicy: fc.Arbitrary<Policy> = fc
  .tuple(anyBase, anyTunnels, anyPortal, anyFormer)
  .map(([base, tunnels, portal, former]) => decide(base, tunnels, portal, former));
