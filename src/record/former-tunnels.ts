import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { DAEMON, hasEnded } from '../machine/daemon.ts';
import { field, type Json, parseJson, texts } from '../machine/json.ts';
import { fitting } from '../machine/schema.ts';
import { parseAddress } from '../net/address.ts';
import { parseInterfaceName } from '../net/interface-name.ts';
import { parseNetwork } from '../net/network.ts';
import { FORMER_KINDS, type FormerTunnel } from '../tunnel/former-tunnel.ts';
import { parseConnectionUuid } from '../tunnel/networkmanager-event.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import {
  type LiveTunnel,
  readLiveTunnels,
  removeLiveTunnel,
  staleTunnels,
} from './live-tunnels.ts';

/** A tunnel that reconnects or has ended, with the client that could bring it back. */
export interface FormerRecord extends Pick<LiveTunnel, 'daemon' | 'connection' | 'profile'> {
  readonly kind: 'reconnecting' | 'ended';
  readonly tunnel: Pick<Tunnel, 'device' | 'addresses' | 'networks'>;
  /** Seconds since 1970. */
  readonly since: number;
}

/**
 * Names the file: one per OpenVPN process or connection. While one client reconnects, another may
 * take its device's name.
 */
function nameOf({ tunnel, daemon, connection }: Omit<FormerRecord, 'kind' | 'since'>): string {
  if (connection !== undefined) return `connection-${connection}`;
  return daemon === undefined ? `device-${tunnel.device}` : `process-${daemon.pid}`;
}

/** Returns undefined when the JSON holds no daemon. */
function parseDaemon(json: Json | undefined): FormerRecord['daemon'] {
  return fitting(DAEMON)(json, '');
}

function parseRecord(text: string): FormerRecord | undefined {
  const json = parseJson(text);
  const former = parseFormer(json);
  const since = field(json, 'since');
  if (former?.device === undefined || former.kind === 'remembered' || typeof since !== 'number')
    return undefined;
  const { kind, device, addresses, networks } = former;
  const connection = parseConnectionUuid(String(field(json, 'connection') ?? ''));
  const profile = field(json, 'profile');
  return {
    kind,
    tunnel: { device, addresses, networks },
    since,
    daemon: parseDaemon(field(json, 'daemon')),
    ...(connection !== undefined && { connection }),
    ...(typeof profile === 'string' && { profile }),
  };
}

function parseFormer(json: Json | undefined): FormerTunnel | undefined {
  const kind = FORMER_KINDS.find((each) => each === field(json, 'kind'));
  const named = field(json, 'device');
  const device = typeof named === 'string' ? parseInterfaceName(named) : undefined;
  const addresses = texts(field(json, 'addresses'), parseAddress);
  const networks = texts(field(json, 'networks'), parseNetwork);
  if (kind === undefined || addresses === undefined || networks === undefined) return undefined;
  return device === undefined && named !== null ? undefined : { kind, device, addresses, networks };
}

function formerJson({ kind, device, addresses, networks }: FormerTunnel) {
  return {
    kind,
    device: device ?? null,
    addresses: addresses.map(({ text }) => text),
    networks: networks.map(({ text }) => text),
  };
}

/** Returns a former tunnel as a text that can be compared and parsed again. */
export function formerText(former: FormerTunnel): string {
  return JSON.stringify(formerJson(former));
}

/** Parses the text of `formerText`; returns undefined for any other text. */
export function readFormerText(text: string): FormerTunnel | undefined {
  return parseFormer(parseJson(text));
}

/** Reads the tunnels that reconnect or have ended. Skips a file that does not parse. */
export function readFormerRecords(files: Files): readonly FormerRecord[] {
  return files.list(PATHS.former).flatMap((name) => {
    const record = parseRecord(files.read(`${PATHS.former}/${name}`) ?? '');
    return record !== undefined && nameOf(record) === name ? [record] : [];
  });
}

function write(files: Files, record: FormerRecord): void {
  const { kind, tunnel, since, daemon = null, connection = null, profile = null } = record;
  const facts = {
    version: 1,
    ...formerJson({ kind, ...tunnel }),
    since,
    daemon,
    connection,
    profile,
  };
  files.write(`${PATHS.former}/${nameOf(record)}`, `${JSON.stringify(facts, null, 1)}\n`);
}

/**
 * Turns a live tunnel into a former one. Writes the new file first, so that no reader misses both.
 * A tunnel that has taken its device's name meanwhile stays live.
 */
export function retireTunnel(host: Host, live: LiveTunnel, kind: FormerRecord['kind']): void {
  const { daemon, connection, profile, tunnel } = live;
  const { device, addresses, networks } = tunnel;
  write(host, {
    kind,
    tunnel: { device, addresses, networks: kind === 'ended' ? [] : networks },
    since: host.now(),
    daemon,
    ...(connection !== undefined && { connection }),
    ...(profile !== undefined && { profile }),
  });
  removeLiveTunnel(host, live);
}

/** Marks a reconnecting tunnel as ended. */
export function endFormer(host: Host, record: FormerRecord): void {
  write(host, {
    ...record,
    kind: 'ended',
    tunnel: { ...record.tunnel, networks: [] },
    since: host.now(),
  });
}

/** Whether the OpenVPN that made the tunnel has ended. An unknown process proves nothing. */
function processGone(files: Files, { daemon }: Pick<FormerRecord, 'daemon'>): boolean {
  return daemon !== undefined && hasEnded(files, daemon);
}

/** Returns the records that still say `reconnecting` although their OpenVPN has ended. */
export function staleFormers(
  files: Files,
  records: readonly FormerRecord[],
): readonly FormerRecord[] {
  return records.filter((record) => record.kind === 'reconnecting' && processGone(files, record));
}

/**
 * Whether a live tunnel replaces the former one: the same client made it. An ended one is also
 * replaced by a live tunnel on its device.
 */
function isReplaced(record: FormerRecord, live: readonly LiveTunnel[]): boolean {
  const hasEnded = record.kind === 'ended';
  return live.some(
    (each) =>
      nameOf(each) === nameOf(record) || (hasEnded && each.tunnel.device === record.tunnel.device),
  );
}

/** Returns the records that none of these live tunnels replaces. */
export function standing(
  records: readonly FormerRecord[],
  live: readonly LiveTunnel[],
): readonly FormerRecord[] {
  return records.filter((record) => !isReplaced(record, live));
}

/** Returns the former tunnel that the rules keep shut for this record. */
export function formerTunnel({ kind, tunnel }: FormerRecord): FormerTunnel {
  return { kind, ...tunnel };
}

/** Forgets the records that live tunnels replace. Call once the rules for these are loaded. */
export function forgetReplaced(host: Host): void {
  const live = readLiveTunnels(host);
  for (const record of readFormerRecords(host))
    if (isReplaced(record, live)) host.remove(`${PATHS.former}/${nameOf(record)}`);
}

/** Forgets every tunnel that reconnects or has ended, by a person's decision. */
export function forgetFormers(files: Files): void {
  files.remove(PATHS.former);
}

/** Devices of tunnels that ended without a report. */
export interface Ended {
  readonly live: readonly string[];
  /** Devices that vanished while their OpenVPN may run: its `down` hook may still come. */
  readonly returning: readonly string[];
  readonly reconnecting: readonly string[];
}

/**
 * Whether a tunnel without a device may come back: its OpenVPN, or its connection in
 * NetworkManager, is not known to have ended.
 */
function mayReturn(files: Files, { daemon, connection, tunnel }: LiveTunnel): boolean {
  if (connection !== undefined) return files.exists(`${PATHS.connections}/${tunnel.device}`);
  return !processGone(files, { daemon });
}

/**
 * Settles the tunnels that ended without a report: one that may come back reconnects, every other
 * ends.
 * `except` is the device that the running hook reports.
 */
export function settleTunnels(host: Host, except?: string): Ended {
  const gone = staleTunnels(host, readLiveTunnels(host)).filter(
    ({ tunnel }) => tunnel.device !== except,
  );
  const returning = gone.filter((live) => mayReturn(host, live));
  for (const live of gone)
    retireTunnel(host, live, returning.includes(live) ? 'reconnecting' : 'ended');
  const stale = staleFormers(host, readFormerRecords(host));
  for (const record of stale) endFormer(host, record);
  return {
    live: gone.filter((live) => !returning.includes(live)).map(({ tunnel }) => tunnel.device),
    returning: returning.map(({ tunnel }) => tunnel.device),
    reconnecting: stale.map(({ tunnel }) => tunnel.device),
  };
}
