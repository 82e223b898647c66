import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { parseAddress } from '../net/address.ts';
import { endpointText, parseEndpoint } from '../net/endpoint.ts';
import { parseHostName } from '../net/host-name.ts';
import { type InterfaceName, parseInterfaceName } from '../net/interface-name.ts';
import { parseNetwork } from '../net/network.ts';
import { type ConnectionUuid, parseConnectionUuid } from '../tunnel/networkmanager-event.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import { field, items, type Json, parseJson, texts } from './json.ts';
import { parseResolver, resolverJson } from './resolver-json.ts';

/** The process that owns a tunnel. `start` tells it from a later process of the same number (proc(5), starttime). */
export interface Daemon {
  readonly pid: number;
  readonly start: string;
}

/** A tunnel that `up` reported, and what to know it by when its end is never reported. */
export interface LiveTunnel {
  readonly tunnel: Tunnel;
  /** Seconds since 1970. */
  readonly since: number;
  /** Undefined when it could not be seen. */
  readonly daemon: Daemon | undefined;
  /** Whether the device was there when `up` ran. */
  readonly deviceSeen: boolean;
  /** NetworkManager's connection, where NetworkManager made the tunnel: it then also sets the system's resolvers. */
  readonly connection?: ConnectionUuid;
  /** Absolute path of the profile that OpenVPN was started with; missing when it is not known. */
  readonly profile?: string;
}

/** The time a process started at; undefined when there is no such process, or it is dead and only its parent has not noticed yet. */
export function startOf(host: Host, pid: number): string | undefined {
  const stat = host.read(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses and may hold anything; then comes the state, and starttime 19 fields later.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19];
}

/** The interfaces of our network namespace. */
export function devices(host: Host): ReadonlySet<string> {
  const names = (host.read(PATHS.devices) ?? '').split('\n').flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []);
  return new Set(names);
}

function pathOf(device: InterfaceName): string {
  return `${PATHS.tunnels}/${device}`;
}

function parseLive(text: string): LiveTunnel | undefined {
  const json = parseJson(text);
  const string = (name: string): string => {
    const value: Json | undefined = field(json, name);
    return typeof value === 'string' ? value : '';
  };
  const device = parseInterfaceName(string('device'));
  const endpoints = texts(field(json, 'endpoints'), parseEndpoint);
  const addresses = texts(field(json, 'addresses'), parseAddress);
  const resolvers = items(field(json, 'resolvers'), parseResolver);
  // Files of earlier versions have none.
  const searchDomains = texts(field(json, 'searchDomains') ?? [], parseHostName);
  const networks = texts(field(json, 'networks'), parseNetwork);
  const connection = parseConnectionUuid(string('connection'));
  const profile = string('profile');
  const since = field(json, 'since');
  const pid = field(field(json, 'daemon'), 'pid');
  const start = field(field(json, 'daemon'), 'start');
  if (!device || !endpoints || !addresses || !resolvers || !searchDomains || !networks || typeof since !== 'number') return undefined;
  return {
    tunnel: {
      device,
      endpoints,
      addresses,
      resolvers,
      ...(searchDomains.length > 0 ? { searchDomains } : {}),
      networks,
      ...(field(json, 'offloaded') === true && { offloaded: true }),
    },
    since,
    daemon: typeof pid === 'number' && typeof start === 'string' ? { pid, start } : undefined,
    deviceSeen: field(json, 'deviceSeen') === true,
    ...(connection !== undefined && { connection }),
    ...(profile.startsWith('/') && { profile }),
  };
}

/** The tunnels that a folder has files of, each named after its device. A file that does not parse is no tunnel. */
export function readTunnels(host: Host, folder: string): readonly LiveTunnel[] {
  return host
    .list(folder)
    .filter((name) => parseInterfaceName(name) !== undefined)
    .flatMap((name) => {
      const live = parseLive(host.read(`${folder}/${name}`) ?? '');
      return live?.tunnel.device === name ? [live] : [];
    });
}

/** The live tunnels: nothing passes through any other device. */
export function readLiveTunnels(host: Host): readonly LiveTunnel[] {
  return readTunnels(host, PATHS.tunnels);
}

/** One live tunnel; undefined when its file cannot be read, whatever the reason. */
export function readLiveTunnel(host: Host, device: InterfaceName): LiveTunnel | undefined {
  try {
    const live = parseLive(host.read(pathOf(device)) ?? '');
    return live?.tunnel.device === device ? live : undefined;
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return undefined;
    throw thrown;
  }
}

/** A tunnel as its file holds it. */
export function liveText({ tunnel, since, daemon, deviceSeen, connection, profile }: LiveTunnel): string {
  const { device, endpoints, addresses, resolvers, searchDomains = [], networks, offloaded } = tunnel;
  const facts = {
    version: 1,
    device,
    endpoints: endpoints.map(endpointText),
    addresses: addresses.map(({ text }) => text),
    resolvers: resolvers.map(resolverJson),
    searchDomains,
    networks: networks.map(({ text }) => text),
    ...(offloaded === true && { offloaded }),
    since,
    daemon: daemon ?? null,
    deviceSeen,
    connection: connection ?? null,
    profile: profile ?? null,
  };
  return `${JSON.stringify(facts, null, 1)}\n`;
}

export function writeLiveTunnel(host: Host, live: LiveTunnel): void {
  host.write(pathOf(live.tunnel.device), liveText(live));
}

/** The same for two reports of a tunnel that say the same, whenever they were made. */
export function liveTunnelKey(live: LiveTunnel): string {
  return liveText({ ...live, since: 0 });
}

export function sameLiveTunnel(a: LiveTunnel, b: LiveTunnel): boolean {
  return liveTunnelKey(a) === liveTunnelKey(b);
}

export function removeLiveTunnel(host: Host, device: InterfaceName): void {
  host.remove(pathOf(device));
}

/**
 * Tunnels whose end nobody reported: the device or the daemon was there when `up` ran and is not any more. What was never seen proves
 * nothing.
 */
export function staleTunnels(host: Host, live: readonly LiveTunnel[]): readonly LiveTunnel[] {
  const present = devices(host);
  return live.filter(({ tunnel, deviceSeen, daemon }) => {
    const deviceGone = deviceSeen && !present.has(tunnel.device);
    const daemonGone = daemon !== undefined && startOf(host, daemon.pid) !== daemon.start;
    return deviceGone || daemonGone;
  });
}
