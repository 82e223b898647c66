import { KillswitchError, orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { accountOf } from '../machine/account.ts';
import { field, parseJson, texts } from '../machine/json.ts';
import { unitAccounts } from '../machine/openvpn-units.ts';
import { list, object, optional, text, whole } from '../machine/schema.ts';
import { guardedConnections } from '../machine/vpn-connections.ts';
import type { Family } from '../net/address.ts';
import { distinctEndpoints, type Endpoint, endpointText, parseEndpoint } from '../net/endpoint.ts';
import { type HostName, parseHostName } from '../net/host-name.ts';
import { type Port, parsePort, type Transport } from '../net/port.ts';
import { printable } from '../net/printable.ts';
import { shellWord } from '../net/shell-word.ts';
import { DNS_PORT, ENCRYPTED_DNS_PORT } from '../net/well-known.ts';
import type { Known } from '../policy/policy.ts';
import type { Settings } from '../policy/settings.ts';
import {
  literalEndpoints,
  type Profile,
  readProfile,
  remoteName,
  unreachedRemotes,
  unreachedText,
} from '../tunnel/profile.ts';
import { attachedProfiles } from './attached-profiles.ts';
import { readFormerRecords } from './former-tunnels.ts';
import { readLiveTunnels } from './live-tunnels.ts';
import type { LockRecord } from './lock-record.ts';
import {
  type Answer,
  isRootsOwn,
  markUsed,
  type Pin,
  parsePins,
  pinsJson,
  renewPins,
} from './pins.ts';
import { isRoots, readState, stateOrNothing } from './state-file.ts';
import { type KeptFolder, keptPath, lastingPath } from './trial.ts';

const FILE = 'endpoints.json';

const DNS_PORTS: readonly Port[] = [DNS_PORT, ENCRYPTED_DNS_PORT];

/** Returns the path in the folder of this record's lock. */
function knownPath(host: Host, record: LockRecord | undefined): string {
  return keptPath(host, record, FILE);
}

/**
 * Reads the previous addresses, those of the lock in force first. A damaged file is rewritten, and
 * its readable entries still serve.
 */
function oldPins(host: Host, record: LockRecord | undefined): readonly Pin[] {
  const pins = [lastingPath(FILE), knownPath(host, record)].flatMap((path) =>
    parsePins(field(parseJson(host.read(path) ?? ''), 'pins')),
  );
  return [...new Map(pins.map((pin) => [pin.name, pin])).values()];
}

/**
 * Lists the matching names in a folder. Returns the pattern itself when the folder cannot be
 * listed: reading that path reports why.
 */
function namesIn(host: Host, folder: string, pattern: string): readonly string[] {
  return orElse(
    () => host.list(folder),
    () => [pattern],
  );
}

/**
 * Limit of files listed one by one from a folder that others can write to. None of them is read.
 */
const MOST_OF_OTHERS = 20;

/** Expands `*` and `?` in the last part of a path (glob(7)). */
function expand(host: Host, pattern: string): readonly string[] {
  const cut = pattern.lastIndexOf('/');
  const [folder, last] = [pattern.slice(0, cut), pattern.slice(cut + 1)];
  if (!/[*?]/.test(last)) return host.exists(pattern) ? [pattern] : [];
  const source = last
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  const shape = new RegExp(`^${source}$`);
  const names = namesIn(host, folder, last).filter(
    (name) => shape.test(name) && !name.startsWith('.'),
  );
  // The pattern itself stands for the rest: reading it reports why.
  const few =
    names.length > MOST_OF_OTHERS && !isRoots(host, folder)
      ? [...names.slice(0, MOST_OF_OTHERS), last]
      : names;
  return few.map((name) => `${folder}/${name}`);
}

/** Returns the user id of an account: a number as it is, a name through /etc/passwd. */
export function uidOf(host: Host, account: string): number | undefined {
  return /^\d{1,9}$/.test(account) ? Number(account) : accountOf(host, account)?.uid;
}

function uidsOf(host: Host, settings: Settings, profiles: readonly Profile[]): readonly number[] {
  const { endpointOwner } = settings;
  switch (endpointOwner.kind) {
    case 'any':
    case 'mark':
      return [];
    case 'root':
      return [0];
    case 'user': {
      const uid = uidOf(host, endpointOwner.name);
      if (uid === undefined)
        throw new KillswitchError(
          'SETTINGS',
          `${PATHS.settings}: KILLSWITCH_ENDPOINT_OWNER names the user ${endpointOwner.name}, who is not in ${PATHS.passwd}`,
          'Name an account of this machine, or its number: user:1001',
        );
      return [uid];
    }
    case 'auto': {
      const users = [
        ...profiles.flatMap(({ user }) => (user === undefined ? [] : [user])),
        ...unitAccounts(host),
      ];
      return [0, ...users.flatMap((user) => uidOf(host, user) ?? [])];
    }
    default:
      return endpointOwner satisfies never;
  }
}

/** Accounts of DHCP clients that do not run as root: systemd-networkd(8), dhcpcd(8). */
const DHCP_ACCOUNTS = ['systemd-network', 'dhcpcd', '_dhcpcd'] as const;

/**
 * Whether the account exists in our user namespace (user_namespaces(7)). xt_owner refuses any other
 * with EINVAL.
 */
function isMapped(host: Host, uid: number): boolean {
  const ranges = (host.read('/proc/self/uid_map') ?? '').split('\n').flatMap((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return first === undefined || count === undefined ? [] : [{ first, count }];
  });
  return (
    ranges.length === 0 || ranges.some(({ first, count }) => first <= uid && uid < first + count)
  );
}

function dhcpUidsOf(host: Host): readonly number[] {
  return DHCP_ACCOUNTS.flatMap((account) => uidOf(host, account) ?? []).filter((uid) =>
    isMapped(host, uid),
  );
}

/** A server that a profile names by host name. */
export interface NamedRemote {
  readonly name: HostName;
  readonly port: Port;
  readonly transport: Transport;
  /** The only family that OpenVPN uses for this server; both when it is missing. */
  readonly family?: Family;
}

/** The profiles' facts, and the addresses of their names. */
export interface Gathered extends Known {
  readonly dhcpUids: readonly number[];
  readonly literal: readonly Endpoint[];
  readonly named: readonly NamedRemote[];
  readonly pins: readonly Pin[];
  /** Profiles that could not be read, one line each. */
  readonly unread: readonly string[];
}

export function namedRemotes(profiles: readonly Profile[]): readonly NamedRemote[] {
  const all = profiles.flatMap(({ remotes }) =>
    remotes.flatMap((remote): readonly NamedRemote[] => {
      const named = remoteName(remote);
      const { transport, family } = remote;
      return named === undefined ? [] : [{ ...named, transport, ...(family && { family }) }];
    }),
  );
  return [...new Map(all.map((remote) => [remoteText(remote), remote])).values()];
}

/** Returns `vpn.example:1194/udp`, or `/udp4` and `/tcp6` where OpenVPN uses one family. */
function remoteText({ name, port, transport, family }: NamedRemote): string {
  return `${name}:${port}/${transport}${family === undefined ? '' : family === 'ipv4' ? '4' : '6'}`;
}

function parseRemote(text: string): NamedRemote | undefined {
  const [, host = '', portText = '', transport, digit] =
    /^([^:]+):(\d+)\/(tcp|udp)([46]?)$/.exec(text) ?? [];
  const [name, port] = [parseHostName(host), parsePort(portText)];
  if (name === undefined || port === undefined) return undefined;
  const family = digit === '4' ? 'ipv4' : digit === '6' ? 'ipv6' : undefined;
  return { name, port, transport: transport === 'tcp' ? 'tcp' : 'udp', ...(family && { family }) };
}

/** Returns the endpoints of a profile: its literal addresses, and the pinned ones of its names. */
export function profileEndpoints(profile: Profile, pins: readonly Pin[]): readonly Endpoint[] {
  return gathered(
    literalEndpoints(profile),
    { uids: [], dhcpUids: [] },
    namedRemotes([profile]),
    pins,
  ).endpoints;
}

/** The accounts of the VPN clients, and those of DHCP clients. */
type Accounts = Pick<Gathered, 'uids' | 'dhcpUids'>;

function gathered(
  literal: readonly Endpoint[],
  { uids, dhcpUids }: Accounts,
  named: readonly NamedRemote[],
  pins: readonly Pin[],
): Gathered {
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

/** The next number is the "no user" of user_namespaces(7). */
const MOST_UID = 2 ** 32 - 2;
const uid = whole(0, MOST_UID);
// Files of earlier versions hold no accounts of DHCP clients.
const UIDS = { uids: list(uid), dhcpUids: optional(list(uid)) } as const;
const ACCOUNTS = object(UIDS);
/** Names and pins that do not parse are skipped: without them less opens. */
const FACTS = object({
  ...UIDS,
  endpoints: list(text(parseEndpoint, 'an endpoint')),
  named: (json): readonly NamedRemote[] => texts(json, parseRemote) ?? [],
  pins: (json): readonly Pin[] => parsePins(json),
});

/**
 * Resolves names. A name without an answer is absent from the map and keeps its previous addresses.
 */
export type Ask = (names: readonly HostName[]) => ReadonlyMap<string, Answer>;

/**
 * Returns the profiles of connected and reconnecting clients: a lock without their servers would
 * cut them off.
 */
function clientProfiles(host: Host): readonly string[] {
  const clients = [
    ...readLiveTunnels(host),
    ...readFormerRecords(host).filter(({ kind }) => kind === 'reconnecting'),
  ];
  return clients.flatMap(({ profile }) => profile ?? []);
}

/**
 * Returns the existing profiles that the settings name, that `attach` changed, or whose client
 * runs.
 */
export function profilePaths(host: Host, settings: Settings): readonly string[] {
  const attached = attachedProfiles(host).filter((path) => host.exists(path));
  const named = new Set([
    ...settings.profiles.flatMap((pattern) => expand(host, pattern)),
    ...attached,
  ]);
  const isNamed = (path: string) =>
    named.has(path) || [...named].some((each) => host.place(each) === path);
  return [
    ...new Set([
      ...named,
      ...clientProfiles(host).filter((path) => host.exists(path) && !isNamed(path)),
    ]),
  ];
}

/**
 * Says why a profile was not read, and the fix. Rules would open its servers, so only root may name
 * them.
 */
export function unreadWhy(path: string, { code, message, detail }: KillswitchError): string {
  if (code !== 'OWNER') return printable(detail.join('; '));
  return `${message}; to use a copy of root's: ovpn-killswitch attach --copy ${shellWord(path)}`;
}

/**
 * Reads the profiles. Returns also a line for each unreadable profile, and one for each server that
 * stays shut.
 */
function readProfiles(
  host: Host,
  settings: Settings,
): { readonly profiles: readonly Profile[]; readonly unread: readonly string[] } {
  const unread: string[] = [];
  const profiles = profilePaths(host, settings).flatMap((path) =>
    orElse(
      () => {
        const profile = readProfile(host.read(path) ?? '');
        unread.push(...unreachedRemotes(profile).map((each) => unreachedText(path, each)));
        return [profile];
      },
      (error) => {
        unread.push(`${printable(path)} was not read: ${unreadWhy(path, error)}`);
        return [];
      },
    ),
  );
  return { profiles, unread };
}

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
): Gathered {
  const { profiles: read, unread } = readProfiles(host, settings);
  const profiles = [...read, ...guardedConnections(host).map(({ profile }) => profile)];
  const named = namedRemotes(profiles);
  const names = [...new Set(named.map(({ name }) => name))];
  const pins = renewPins(names, oldPins(host, record), ask?.(names) ?? new Map(), host.now());
  const known = gathered(
    distinctEndpoints([...profiles.flatMap(literalEndpoints), ...connected]),
    { uids: [...new Set(uidsOf(host, settings, profiles))], dhcpUids: dhcpUidsOf(host) },
    named,
    pins,
  );
  return { ...known, unread };
}

/**
 * Saves the gathered facts, so that a hook neither reads a thousand profiles nor resolves a name.
 */
export function saveKnown(
  host: Host,
  { literal, uids, dhcpUids, named, pins }: Gathered,
  folder: KeptFolder,
): void {
  const json = {
    version: 1,
    endpoints: literal.map(endpointText),
    uids,
    dhcpUids,
    named: named.map(remoteText),
    pins: pinsJson(pins),
  };
  host.write(`${folder}/${FILE}`, `${JSON.stringify(json, null, 1)}\n`);
}

/**
 * Reads the facts that the last `lock` or `refresh` gathered; undefined when there are none.
 * @throws KillswitchError FILES when the file is damaged.
 */
export function savedKnown(host: Host, record: LockRecord | undefined): Gathered | undefined {
  const path = knownPath(host, record);
  const read = readState(host, path, FACTS);
  if (read === undefined) return undefined;
  if ('refused' in read)
    throw new KillswitchError(
      'FILES',
      `${path} is not believed: ${read.refused}`,
      'Run "ovpn-killswitch lock", which writes it anew.',
    );
  const { endpoints, uids, dhcpUids = [], named, pins } = read.value;
  return gathered(endpoints, { uids, dhcpUids }, named, pins);
}

/**
 * Returns the pins for the hosts file. On trial they include the previous lock's servers, with
 * which the machine would boot.
 */
export function hostPins(
  host: Host,
  record: LockRecord | undefined,
  { pins }: Pick<Gathered, 'pins'>,
): readonly Pin[] {
  const others = record?.term?.kind === 'trial' ? oldPins(host, record) : [];
  return [...new Map([...others, ...pins].map((pin) => [pin.name, pin])).values()];
}

/** Reads the accounts of the last `lock` or `refresh`, without the endpoints. */
export function savedAccounts(host: Host, record: LockRecord | undefined): Accounts {
  const path = knownPath(host, record);
  const { uids, dhcpUids = [] } = stateOrNothing(host, path, ACCOUNTS) ?? { uids: [] };
  return { uids, dhcpUids };
}

/** Reads the pins of the last `lock` or `refresh`, without the endpoints. */
export function savedPins(host: Host, record: LockRecord | undefined): readonly Pin[] {
  return parsePins(field(parseJson(host.read(knownPath(host, record)) ?? ''), 'pins'));
}

/** Whether the last `lock` or `refresh` found a name to resolve. */
export function hasNames(host: Host, record: LockRecord | undefined): boolean {
  const named = field(parseJson(host.read(knownPath(host, record)) ?? ''), 'named');
  return Array.isArray(named) && named.length > 0;
}

/** Adds the connections that NetworkManager has gained since. */
export function withNewConnections(
  host: Host,
  settings: Settings,
  { literal, uids, dhcpUids, named, pins }: Gathered,
): Gathered {
  const profiles = guardedConnections(host).map(({ profile }) => profile);
  const places = [...named, ...namedRemotes(profiles)].map(
    (remote) => [remoteText(remote), remote] as const,
  );
  return gathered(
    distinctEndpoints([...literal, ...profiles.flatMap(literalEndpoints)]),
    { uids: [...new Set([...uids, ...uidsOf(host, settings, profiles)])], dhcpUids },
    [...new Map(places).values()],
    pins,
  );
}

/** Resolves the names again. `used` lists the addresses that tunnels are connected to. */
export function renewKnown(
  host: Host,
  { literal, uids, dhcpUids, named, pins }: Gathered,
  ask: Ask,
  used: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): Gathered {
  const names = [...new Set(named.map(({ name }) => name))];
  const now = host.now();
  // Mark before the renewal too: no answer evicts an address that a handshake has used.
  const renewed = renewPins(names, markUsed(pins, used, now), ask(names), now);
  return gathered(literal, { uids, dhcpUids }, named, markUsed(renewed, used, now));
}

/** Limit of names without an address that are listed one by one. */
const MOST_GAPS = 5;

/**
 * Lists the parts of the profiles that will not connect, one line each. First come names without an
 * address, with a count of the rest, then unreadable profiles.
 */
export function gaps({ named, pins, unread }: Gathered): readonly string[] {
  const known = new Set<string>(pins.map(({ name }) => name));
  const missing = [...new Set(named.map(({ name }) => name).filter((name) => !known.has(name)))];
  return [
    ...missing
      .slice(0, MOST_GAPS)
      .map(
        (name) =>
          `no address is known for ${name}: "refresh" asks for it once its own profile is connected; "unlock" and "lock" ask the resolvers of this network`,
      ),
    ...(missing.length > MOST_GAPS ? [`and for ${missing.length - MOST_GAPS} more`] : []),
    ...unread,
  ];
}

export function forgetKnown(host: Host): void {
  host.remove(lastingPath(FILE));
}
