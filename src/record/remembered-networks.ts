import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { field, parseJson, texts } from '../machine/json.ts';
import { guardedConnections } from '../machine/vpn-connections.ts';
import { type Network, parseNetwork } from '../net/network.ts';
import { type ConnectionUuid, parseConnectionUuid } from '../tunnel/networkmanager-event.ts';
import { attachedProfiles } from './attached-profiles.ts';
import type { LiveTunnel } from './live-tunnels.ts';

/** The source of a tunnel: a profile of OpenVPN, or a connection of NetworkManager. */
export interface Maker {
  readonly profile?: string;
  readonly connection?: ConnectionUuid;
}

/** The networks of the last connection of an attached profile or of a guarded connection. */
export interface Remembered {
  readonly maker: Maker;
  readonly networks: readonly Network[];
  /** Seconds since 1970. */
  readonly since: number;
}

/** Limit of a file's name in characters (NAME_MAX is 255). A longer path is cut to its end. */
const LONGEST_NAME = 200;

/** Returns one text per maker; undefined when the maker is unknown. */
export function makerText({ profile, connection }: Maker): string | undefined {
  return connection === undefined ? profile : `connection ${connection}`;
}

function pathOf(maker: string): string {
  return `${PATHS.networks}/${encodeURIComponent(maker).slice(-LONGEST_NAME)}`;
}

/**
 * Whether the profile is attached. A connection is attached while NetworkManager has it and the
 * dispatcher reports it.
 */
function isAttached(files: Files, { profile, connection }: Maker): boolean {
  if (connection !== undefined)
    return guardedConnections(files).some(({ uuid }) => uuid === connection);
  return attachedProfiles(files).some((path) => path === profile || files.place(path) === profile);
}

function parse(text: string): Remembered | undefined {
  const json = parseJson(text);
  const [profile, since] = [field(json, 'profile'), field(json, 'since')];
  const connection = parseConnectionUuid(String(field(json, 'connection') ?? ''));
  const networks = texts(field(json, 'networks'), parseNetwork);
  if (networks === undefined || typeof since !== 'number') return undefined;
  if (connection !== undefined) return { maker: { connection }, networks, since };
  return typeof profile === 'string' ? { maker: { profile }, networks, since } : undefined;
}

/** Reads the remembered networks of every attached profile. Skips a file that does not parse. */
export function readRemembered(files: Files): readonly Remembered[] {
  return files.list(PATHS.networks).flatMap((name) => {
    const remembered = parse(files.read(`${PATHS.networks}/${name}`) ?? '');
    return remembered !== undefined && isAttached(files, remembered.maker) ? [remembered] : [];
  });
}

const networkTexts = (networks: readonly Network[]) => networks.map(({ text }) => text);

/** Remembers the networks of a tunnel that came up. @returns whether they are new. */
export function rememberNetworks(
  files: Files,
  { tunnel, profile, connection, since }: LiveTunnel,
): boolean {
  const whose = {
    ...(profile !== undefined && { profile }),
    ...(connection !== undefined && { connection }),
  };
  const maker = makerText(whose);
  if (maker === undefined || !isAttached(files, whose)) return false;
  const networks = networkTexts(tunnel.networks);
  const before = parse(files.read(pathOf(maker)) ?? '');
  const isKnown = before !== undefined && makerText(before.maker) === maker;
  if (isKnown && JSON.stringify(networkTexts(before.networks)) === JSON.stringify(networks))
    return false;
  const facts = {
    version: 1,
    profile: profile ?? null,
    connection: connection ?? null,
    networks,
    since,
  };
  files.write(pathOf(maker), `${JSON.stringify(facts, null, 1)}\n`);
  return true;
}

/** Forgets the networks of a maker. */
export function forgetRemembered(files: Files, maker: Maker): void {
  const text = makerText(maker);
  if (text !== undefined) files.remove(pathOf(text));
}
