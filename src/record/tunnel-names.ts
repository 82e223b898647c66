import { orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { guardedConnections } from '../machine/vpn-connections.ts';
import type { HostName } from '../net/host-name.ts';
import type { Settings } from '../policy/settings.ts';
import { namedRemotes } from '../tunnel/named-remote.ts';
import { type Profile, readProfile, remoteName } from '../tunnel/profile.ts';
import type { LiveTunnel } from './live-tunnels.ts';
import type { Answer } from './pins.ts';
import { profilePaths } from './profile-paths.ts';

/** Returns the profile that made a tunnel, if `lock` reads it; undefined when it is unknown. */
function profileOf(
  host: Host,
  settings: Settings,
  { connection, profile: path }: LiveTunnel,
): Profile | undefined {
  if (connection !== undefined)
    return guardedConnections(host).find(({ uuid }) => uuid === connection)?.profile;
  if (path === undefined) return undefined;
  return orElse(
    () =>
      profilePaths(host, settings).some((each) => each === path || host.place(each) === path)
        ? readProfile(host.read(path) ?? '')
        : undefined,
    () => undefined,
  );
}

/** Returns the names in a tunnel's own profile: its resolvers are asked for no other name. */
export function namesOfTunnel(
  host: Host,
  settings: Settings,
  live: LiveTunnel,
): readonly HostName[] {
  const remotes = profileOf(host, settings, live)?.remotes ?? [];
  const names = remotes.flatMap((remote) => remoteName(remote)?.name ?? []);
  return [...new Set(names)];
}

/**
 * Returns the addresses that live tunnels' clients are connected to, for each name of their own
 * profile. NetworkManager does not report them.
 */
export function usedAddresses(
  host: Host,
  settings: Settings,
  tunnels: readonly LiveTunnel[],
): ReadonlyMap<string, ReadonlySet<string>> {
  const uses = new Map<string, ReadonlySet<string>>();
  for (const live of tunnels.filter(({ connection }) => connection === undefined))
    for (const name of namesOfTunnel(host, settings, live))
      uses.set(
        name,
        new Set([
          ...(uses.get(name) ?? []),
          ...live.tunnel.endpoints.map(({ address }) => address.text),
        ]),
      );
  return uses;
}

/**
 * Returns a connection's address as the answer for each name of its own profile that OpenVPN can
 * have used, by port, transport and family. With several such names, OpenVPN does not tell a hook
 * which one it used.
 */
export function connectionAnswers(
  host: Host,
  settings: Settings,
  live: LiveTunnel,
): ReadonlyMap<HostName, Answer> {
  const profile = profileOf(host, settings, live);
  const from = { kind: 'connection', device: live.tunnel.device } as const;
  const answers = namedRemotes(profile === undefined ? [] : [profile]).flatMap(
    ({ name, port, transport, family }) => {
      const reached = live.tunnel.endpoints.filter(
        (each) =>
          each.port === port &&
          each.transport === transport &&
          (family ?? each.address.family) === each.address.family,
      );
      return reached.length === 0
        ? []
        : [[name, { addresses: reached.map(({ address }) => address), from }] as const];
    },
  );
  return new Map(answers);
}
