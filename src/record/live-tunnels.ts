import { orElse } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { DAEMON, type Daemon, hasEnded } from '../machine/daemon.ts';
import {
  flag,
  list,
  made,
  object,
  optional,
  type Parsed,
  parseState,
  text,
  whole,
} from '../machine/schema.ts';
import { deviceKind, devices } from '../machine/tunnel-device.ts';
import { parseAddress } from '../net/address.ts';
import { endpointText, parseEndpoint } from '../net/endpoint.ts';
import { parseHostName } from '../net/host-name.ts';
import { type InterfaceName, parseInterfaceName } from '../net/interface-name.ts';
import { parseNetwork } from '../net/network.ts';
import { type ConnectionUuid, parseConnectionUuid } from '../tunnel/networkmanager-event.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import { resolver, resolverJson } from './resolver-json.ts';
import { readState } from './state-file.ts';

/** A tunnel that `up` reported, with the facts that show its end if nobody reports it. */
export interface LiveTunnel {
  readonly tunnel: Tunnel;
  /** Seconds since 1970. */
  readonly since: number;
  /** Undefined when the process could not be found. */
  readonly daemon: Daemon | undefined;
  /** Whether the device existed when `up` ran. */
  readonly deviceSeen: boolean;
  /**
   * The connection's UUID where NetworkManager made the tunnel: it then also sets the system's
   * resolvers.
   */
  readonly connection?: ConnectionUuid;
  /** Absolute path of the profile that OpenVPN was started with; missing when unknown. */
  readonly profile?: string;
}

function pathOf(device: InterfaceName): string {
  return `${PATHS.tunnels}/${device}`;
}

const FILE = made(
  object({
    device: text(parseInterfaceName, 'the name of an interface'),
    endpoints: list(text(parseEndpoint, 'an endpoint')),
    addresses: list(text(parseAddress, 'an address')),
    resolvers: list(resolver),
    // Files of earlier versions have no search domains.
    searchDomains: optional(list(text(parseHostName, 'a domain'))),
    networks: list(text(parseNetwork, 'a network')),
    offloaded: optional(flag),
    since: whole(0),
    daemon: optional(DAEMON),
    deviceSeen: flag,
    connection: optional(text(parseConnectionUuid, 'a connection of NetworkManager')),
    profile: optional(
      text((path) => (path.startsWith('/') ? path : undefined), 'an absolute path'),
    ),
  }),
  ({
    device,
    endpoints,
    addresses,
    resolvers,
    searchDomains = [],
    networks,
    offloaded,
    since,
    daemon,
    deviceSeen,
    connection,
    profile,
  }): LiveTunnel => ({
    tunnel: {
      device,
      endpoints,
      addresses,
      resolvers,
      ...(searchDomains.length > 0 ? { searchDomains } : {}),
      networks,
      ...(offloaded === true && { offloaded }),
    },
    since,
    daemon,
    deviceSeen,
    ...(connection !== undefined && { connection }),
    ...(profile !== undefined && { profile }),
  }),
);

/**
 * Reads the tunnel of one file, or the reason to refuse it: then nothing passes through its device.
 * Undefined when there is no such file.
 */
function readTunnel(
  host: Host,
  folder: string,
  device: InterfaceName,
  present: ReadonlySet<string>,
): Parsed<LiveTunnel> | undefined {
  const read = readState(host, `${folder}/${device}`, FILE);
  if (read === undefined || 'refused' in read) return read;
  if (read.value.tunnel.device !== device)
    return { refused: `it is about ${read.value.tunnel.device}` };
  if (deviceKind(host, device, present) === 'other')
    return { refused: `${device} is no tunnel but an interface of this machine` };
  return read;
}

/** A tunnel's file that is refused, and why. */
export interface RefusedFile {
  readonly path: string;
  readonly why: string;
}

/** Reads a folder's tunnels, each file named after its device, and its refused files. */
function readFolder(
  host: Host,
  folder: string,
): { readonly live: readonly LiveTunnel[]; readonly refused: readonly RefusedFile[] } {
  const names = host.list(folder).flatMap((name) => parseInterfaceName(name) ?? []);
  const present = names.length > 0 ? devices(host) : new Set<string>();
  const files = names.map((device) => ({
    path: `${folder}/${device}`,
    read: readTunnel(host, folder, device, present),
  }));
  return {
    live: files.flatMap(({ read }) => (read !== undefined && 'value' in read ? [read.value] : [])),
    refused: files.flatMap(({ path, read }) =>
      read !== undefined && 'refused' in read ? [{ path, why: read.refused }] : [],
    ),
  };
}

/** Reads the tunnels of a folder, without the refused files. */
export function readTunnels(host: Host, folder: string): readonly LiveTunnel[] {
  return readFolder(host, folder).live;
}

/** Reads the live tunnels: nothing passes through any other device. */
export function readLiveTunnels(host: Host): readonly LiveTunnel[] {
  return readTunnels(host, PATHS.tunnels);
}

/** Reads the refused files among those of live tunnels. */
export function refusedTunnels(host: Host): readonly RefusedFile[] {
  return readFolder(host, PATHS.tunnels).refused;
}

/** Reads one live tunnel; undefined when its file cannot be read for any reason. */
export function readLiveTunnel(host: Host, device: InterfaceName): LiveTunnel | undefined {
  const read = orElse(
    () => readTunnel(host, PATHS.tunnels, device, devices(host)),
    () => undefined,
  );
  return read !== undefined && 'value' in read ? read.value : undefined;
}

/** Returns a tunnel as its file holds it. */
export function liveText({
  tunnel,
  since,
  daemon,
  deviceSeen,
  connection,
  profile,
}: LiveTunnel): string {
  const {
    device,
    endpoints,
    addresses,
    resolvers,
    searchDomains = [],
    networks,
    offloaded,
  } = tunnel;
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

export function writeLiveTunnel(files: Files, live: LiveTunnel): void {
  files.write(pathOf(live.tunnel.device), liveText(live));
}

/** Returns the same key for two equal reports of a tunnel, whatever their time. */
export function liveTunnelKey(live: LiveTunnel): string {
  return liveText({ ...live, since: 0 });
}

export function sameLiveTunnel(a: LiveTunnel, b: LiveTunnel): boolean {
  return liveTunnelKey(a) === liveTunnelKey(b);
}

/** Removes a device's file, whatever it holds. */
export function removeTunnelFile(files: Files, device: InterfaceName): void {
  files.remove(pathOf(device));
}

/**
 * Removes a tunnel's file if it still holds this very report. Another client may have brought up a
 * device of the same name since it was read.
 */
export function removeLiveTunnel(files: Files, live: LiveTunnel): void {
  files.removeIf(pathOf(live.tunnel.device), (text) => {
    const read = parseState(text, FILE);
    return 'value' in read && liveText(read.value) === liveText(live);
  });
}

/**
 * Returns tunnels that ended without a report: `up` saw the device or the daemon, and it is gone.
 * One that `up` never saw proves nothing.
 */
export function staleTunnels(files: Files, live: readonly LiveTunnel[]): readonly LiveTunnel[] {
  const present = devices(files);
  return live.filter(({ tunnel, deviceSeen, daemon }) => {
    const deviceGone = deviceSeen && !present.has(tunnel.device);
    const daemonGone = daemon !== undefined && hasEnded(files, daemon);
    return deviceGone || daemonGone;
  });
}
