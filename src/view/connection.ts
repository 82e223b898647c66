import type { Host } from '../host/host.ts';
import { runsClient } from '../machine/runs-client.ts';
import type { LiveTunnel } from '../record/live-tunnels.ts';
import { readTraffic, type Traffic } from '../record/traffic.ts';
import type { Report } from './report.ts';

/** Every kind of connection, the best first. */
export const CONNECTIONS = [
  'flowing',
  'quiet',
  'unknown',
  'silent',
  'server',
  'connecting',
  'none',
] as const;

/**
 * Whether this machine is connected, whatever its rules are: a client's tunnel and its traffic, a
 * server's tunnel alone, a client that has no tunnel yet, or none of these.
 */
export interface Connection {
  readonly kind: (typeof CONNECTIONS)[number];
  /** By device. A tunnel of a server process has none. */
  readonly traffic: ReadonlyMap<string, Traffic>;
}

export const NO_CONNECTION: Connection = { kind: 'unknown', traffic: new Map() };

/**
 * Tells whether the tunnel is a server's: OpenVPN names no peer in the environment of a server's
 * hooks. NetworkManager, which starts clients alone, may name none either.
 */
export function isServers({ tunnel, connection }: LiveTunnel): boolean {
  return tunnel.endpoints.length === 0 && connection === undefined;
}

export function readConnection(
  host: Host,
  { intended: { live, kept }, stale }: Report,
): Connection {
  const there = live.filter(({ tunnel }) =>
    stale.every((each) => each.tunnel.device !== tunnel.device),
  );
  const traffic = readTraffic(
    host,
    there.filter((each) => !isServers(each)),
  );
  const states: readonly string[] = [...traffic.values()].map(({ state }) => state);
  const best = CONNECTIONS.find((kind) => states.includes(kind));
  if (best !== undefined) return { kind: best, traffic };
  const connects = kept.records.some(({ kind }) => kind === 'reconnecting') || runsClient(host);
  return { kind: connects ? 'connecting' : there.length > 0 ? 'server' : 'none', traffic };
}
