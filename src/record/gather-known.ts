import type { Clock } from '../host/clock.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { dhcpUids } from '../machine/dhcp-uids.ts';
import { guardedConnections } from '../machine/vpn-connections.ts';
import { distinctEndpoints, type Endpoint } from '../net/endpoint.ts';
import type { HostName } from '../net/host-name.ts';
import type { Settings } from '../policy/settings.ts';
import { namedRemotes, remoteText } from '../tunnel/named-remote.ts';
import { literalEndpoints } from '../tunnel/profile.ts';
import { endpointUids } from './endpoint-uids.ts';
import { type KnownEndpoints, knownEndpoints } from './known-endpoints.ts';
import type { LockRecord } from './lock-record.ts';
import { type Answer, markUsed, renewPins } from './pins.ts';
import { readProfiles } from './read-profiles.ts';
import { previousPins } from './saved-known.ts';

/**
 * Resolves names. A name without an answer is absent from the map and keeps its previous addresses.
 */
export type Ask = (names: readonly HostName[]) => ReadonlyMap<string, Answer>;

/**
 * Gathers the endpoints and accounts of the profiles, those of NetworkManager too. `ask` resolves
 * their names again. `connected` are the endpoints that root's clients use now. `record` chooses
 * the lock whose previous addresses serve.
 */
export function gatherKnown(
  host: Host,
  settings: Settings,
  record: LockRecord | undefined,
  ask?: Ask,
  connected: readonly Endpoint[] = [],
): KnownEndpoints {
  const { profiles: read, unread } = readProfiles(host, settings);
  const profiles = [...read, ...guardedConnections(host).map(({ profile }) => profile)];
  const named = namedRemotes(profiles);
  const names = [...new Set(named.map(({ name }) => name))];
  const pins = renewPins(names, previousPins(host, record), ask?.(names) ?? new Map(), host.now());
  const known = knownEndpoints(
    distinctEndpoints([...profiles.flatMap(literalEndpoints), ...connected]),
    { uids: [...new Set(endpointUids(host, settings, profiles))], dhcpUids: dhcpUids(host) },
    named,
    pins,
  );
  return { ...known, unread };
}

/** Adds the connections that NetworkManager has gained since. */
export function withNewConnections(
  files: Files,
  settings: Settings,
  { literal, uids, dhcpUids, named, pins }: KnownEndpoints,
): KnownEndpoints {
  const profiles = guardedConnections(files).map(({ profile }) => profile);
  const places = [...named, ...namedRemotes(profiles)].map(
    (remote) => [remoteText(remote), remote] as const,
  );
  return knownEndpoints(
    distinctEndpoints([...literal, ...profiles.flatMap(literalEndpoints)]),
    { uids: [...new Set([...uids, ...endpointUids(files, settings, profiles)])], dhcpUids },
    [...new Map(places).values()],
    pins,
  );
}

/** Resolves the names again. `used` lists the addresses that tunnels are connected to. */
export function renewKnown(
  clock: Clock,
  { literal, uids, dhcpUids, named, pins }: KnownEndpoints,
  ask: Ask,
  used: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): KnownEndpoints {
  const names = [...new Set(named.map(({ name }) => name))];
  const now = clock.now();
  // Mark before the renewal too: no answer evicts an address that a handshake has used.
  const renewed = renewPins(names, markUsed(pins, used, now), ask(names), now);
  return knownEndpoints(literal, { uids, dhcpUids }, named, markUsed(renewed, used, now));
}
