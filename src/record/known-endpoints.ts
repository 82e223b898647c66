import { distinctEndpoints, type Endpoint } from '../net/endpoint.ts';
import type { Port } from '../net/port.ts';
import { DNS_PORT, ENCRYPTED_DNS_PORT } from '../net/well-known.ts';
import type { Known } from '../policy/policy.ts';
import { type NamedRemote, namedRemotes } from '../tunnel/named-remote.ts';
import { literalEndpoints, type Profile } from '../tunnel/profile.ts';
import { isRootsOwn, type Pin } from './pins.ts';

/** The profiles' facts, and the addresses of their names. */
export interface KnownEndpoints extends Known {
  readonly dhcpUids: readonly number[];
  readonly literal: readonly Endpoint[];
  readonly named: readonly NamedRemote[];
  readonly pins: readonly Pin[];
  /** Profiles that could not be read, one line each. */
  readonly unread: readonly string[];
}

/** The accounts of the VPN clients, and those of DHCP clients. */
export type Accounts = Pick<KnownEndpoints, 'uids' | 'dhcpUids'>;

const DNS_PORTS: readonly Port[] = [DNS_PORT, ENCRYPTED_DNS_PORT];

/** Joins the literal endpoints and the pinned addresses of the names, each once. */
export function knownEndpoints(
  literal: readonly Endpoint[],
  { uids, dhcpUids }: Accounts,
  named: readonly NamedRemote[],
  pins: readonly Pin[],
): KnownEndpoints {
  const addresses = new Map(pins.map((pin) => [pin.name, pin.addresses]));
  const resolved = named.flatMap(({ name, port, transport, family }) =>
    (addresses.get(name) ?? [])
      .filter(({ address }) => family === undefined || address.family === family)
      // A VPN's server must not name a resolver that root could then query outside the tunnel.
      .filter(({ from }) => isRootsOwn(from) || !DNS_PORTS.includes(port))
      .map(({ address }) => ({ address, port, transport })),
  );
  return {
    endpoints: distinctEndpoints([...literal, ...resolved]),
    uids,
    dhcpUids,
    literal,
    named,
    pins,
    unread: [],
  };
}

/** Returns the endpoints of a profile: its literal addresses, and the pinned ones of its names. */
export function profileEndpoints(profile: Profile, pins: readonly Pin[]): readonly Endpoint[] {
  return knownEndpoints(
    literalEndpoints(profile),
    { uids: [], dhcpUids: [] },
    namedRemotes([profile]),
    pins,
  ).endpoints;
}
