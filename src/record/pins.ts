import { field, type Json, texts } from '../machine/json.ts';
import { type Address, isUnicast, parseAddress } from '../net/address.ts';
import { type HostName, parseHostName } from '../net/host-name.ts';

/** The source of an address for a name. `isRootsOwn` tells the sources that root controls. */
export type Origin =
  /** A line of root's in hosts(5). */
  | { readonly kind: 'hosts' }
  /** The system's resolvers, queried by a person's command while no tunnel was up. */
  | { readonly kind: 'lock'; readonly resolvers: readonly string[] }
  /** Resolvers queried while this tunnel was up: its server chose the answer. */
  | { readonly kind: 'tunnel'; readonly device: string; readonly resolvers: readonly string[] }
  /**
   * The address that this tunnel's client was connected to when the hook locked the machine. The
   * name comes from the client's own profile.
   */
  | { readonly kind: 'connection'; readonly device: string }
  /** A file of an earlier version, which did not record the source. */
  | { readonly kind: 'unknown' };

/** An address that answered for a name. Times are seconds since 1970. */
export interface PinnedAddress {
  readonly address: Address;
  /** The time of the last answer that contained it. */
  readonly seen: number;
  readonly from: Origin;
  /** The last time that a tunnel of the name's own profile was connected to it. */
  readonly used?: number;
}

/** A VPN server's name, and its addresses for the time without a resolver, newest first. */
export interface Pin {
  readonly name: HostName;
  readonly addresses: readonly PinnedAddress[];
}

/** Returns the number of addresses of each name. */
export function addressCounts(pins: readonly Pin[]): ReadonlyMap<string, number> {
  return new Map(pins.map(({ name, addresses }) => [name, addresses.length]));
}

/** The answer for a name. */
export interface Answer {
  readonly addresses: readonly Address[];
  readonly from: Origin;
}

/** Seconds after the last answer until an address expires that no handshake has used. */
const KEPT = 30 * 86_400;
/** Limit of addresses that a tunnel's resolver may add to one name. A client tries only a few. */
export const MOST_OF_TUNNEL = 12;
/**
 * Limits for one name: addresses in all that root's own lock may find, and addresses that
 * handshakes have used.
 */
const [MOST_OF_LOCK, MOST_USED] = [512, 64];

/**
 * Whether root chose the address, not a VPN's server. With `connection`, root's own client found
 * the address on an open machine, and a handshake proved it.
 */
export function isRootsOwn({ kind }: Origin): boolean {
  return kind === 'hosts' || kind === 'lock' || kind === 'connection';
}

/** Returns the origin as text for people. */
export function originText(from: Origin): string {
  const by = (resolvers: readonly string[]) =>
    resolvers.length === 0 ? '' : ` (${resolvers.join(' ')})`;
  switch (from.kind) {
    case 'hosts':
      return '/etc/hosts';
    case 'lock':
      return `the system's resolvers${by(from.resolvers)}`;
    case 'tunnel':
      return `the resolvers of ${from.device}${by(from.resolvers)}`;
    case 'connection':
      return `the connection of ${from.device}`;
    case 'unknown':
      return 'an earlier version';
    default:
      return from satisfies never;
  }
}

function freshAddresses(
  answer: Answer | undefined,
  before: readonly PinnedAddress[],
  now: number,
): readonly PinnedAddress[] {
  if (answer === undefined) return [];
  const { addresses, from } = answer;
  const distinct = [
    ...new Map(addresses.filter(isUnicast).map((address) => [address.text, address])).values(),
  ];
  return distinct.slice(0, isRootsOwn(from) ? MOST_OF_LOCK : MOST_OF_TUNNEL).map((address) => {
    const known = before.find((each) => each.address.text === address.text);
    // An address that root found stays root's when a tunnel gives it too.
    const origin =
      known !== undefined && isRootsOwn(known.from) && !isRootsOwn(from) ? known.from : from;
    return {
      address,
      seen: now,
      from: origin,
      ...(known?.used !== undefined && { used: known.used }),
    };
  });
}

/** Keeps the first `most` addresses that match, and all that do not. */
function atMost(
  addresses: readonly PinnedAddress[],
  most: number,
  fits: (each: PinnedAddress) => boolean,
): readonly PinnedAddress[] {
  const kept = new Set(addresses.filter(fits).slice(0, most));
  return addresses.filter((each) => !fits(each) || kept.has(each));
}

/**
 * Merges an answer into the pins: earlier addresses stay as a fallback. A tunnel's answer evicts
 * only addresses that tunnels gave and no handshake has used. When all of a name's addresses have
 * expired, those that root's own lock found stay.
 */
export function renewPins(
  names: readonly HostName[],
  old: readonly Pin[],
  answers: ReadonlyMap<string, Answer>,
  now: number,
): readonly Pin[] {
  return [...new Set(names)].sort().flatMap((name) => {
    const before = old.find((pin) => pin.name === name)?.addresses ?? [];
    const fresh = freshAddresses(answers.get(name), before, now);
    const known = new Set(fresh.map(({ address }) => address.text));
    const rest = before
      .filter(({ address }) => !known.has(address.text))
      .sort((one, other) => other.seen - one.seen);
    const valid = rest.filter(({ seen, used }) => used !== undefined || now - seen < KEPT);
    const all =
      fresh.length + valid.length > 0
        ? [...fresh, ...valid]
        : rest.filter(({ from }) => isRootsOwn(from));
    const few = atMost(
      all,
      MOST_OF_TUNNEL,
      ({ from, used }) => used === undefined && !isRootsOwn(from),
    );
    const used = atMost(
      few,
      MOST_USED,
      (each) => each.used !== undefined && !isRootsOwn(each.from),
    );
    const addresses = atMost(used, MOST_OF_LOCK, ({ from }) => isRootsOwn(from));
    return addresses.length === 0 ? [] : [{ name, addresses }];
  });
}

/** Returns the pins with the time of the handshake for each name and address in `uses`. */
export function markUsed(
  pins: readonly Pin[],
  uses: ReadonlyMap<string, ReadonlySet<string>>,
  now: number,
): readonly Pin[] {
  return pins.map(({ name, addresses }) => ({
    name,
    addresses: addresses.map((each) =>
      uses.get(name)?.has(each.address.text) === true ? { ...each, used: now } : each,
    ),
  }));
}

function originJson(from: Origin): {
  readonly from: string;
  readonly by?: readonly string[];
  readonly device?: string;
} {
  switch (from.kind) {
    case 'hosts':
    case 'unknown':
      return { from: from.kind };
    case 'lock':
      return { from: from.kind, by: from.resolvers };
    case 'tunnel':
      return { from: from.kind, device: from.device, by: from.resolvers };
    case 'connection':
      return { from: from.kind, device: from.device };
    default:
      return from satisfies never;
  }
}

function parseOrigin(json: Json | undefined): Origin {
  const [kind, device] = [field(json, 'from'), field(json, 'device')];
  const resolvers = texts(field(json, 'by'), (text) => parseAddress(text)?.text) ?? [];
  if (kind === 'hosts') return { kind };
  if (kind === 'lock') return { kind, resolvers };
  if (typeof device !== 'string') return { kind: 'unknown' };
  if (kind === 'connection') return { kind, device };
  return kind === 'tunnel' ? { kind, device, resolvers } : { kind: 'unknown' };
}

/** Returns a pin's address as JSON, for the file and for `status --json`. */
export function pinnedJson({ seen, from, used }: PinnedAddress): Readonly<Record<string, Json>> {
  return { seen, ...originJson(from), ...(used !== undefined && { used }) };
}

/** Returns pins as JSON: each name, its addresses, and the facts of each. */
export function pinsJson(pins: readonly Pin[]): Json {
  return Object.fromEntries(
    pins.map(({ name, addresses }) => [
      name,
      Object.fromEntries(addresses.map((each) => [each.address.text, pinnedJson(each)])),
    ]),
  );
}

function parsePinned(text: string, json: Json): readonly PinnedAddress[] {
  const address = parseAddress(text);
  // Earlier versions kept only the time.
  const seen = typeof json === 'number' ? json : field(json, 'seen');
  if (address === undefined || !isUnicast(address) || typeof seen !== 'number') return [];
  const used = field(json, 'used');
  return [{ address, seen, from: parseOrigin(json), ...(typeof used === 'number' && { used }) }];
}

/** Parses the JSON of `pinsJson`. Skips entries that do not parse: without them less opens. */
export function parsePins(json: Json | undefined): readonly Pin[] {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return [];
  return Object.keys(json).flatMap((key) => {
    const name = parseHostName(key);
    const entries = field(json, key);
    if (
      name === undefined ||
      typeof entries !== 'object' ||
      entries === null ||
      Array.isArray(entries)
    )
      return [];
    const addresses = Object.entries(entries).flatMap(([text, each]) => parsePinned(text, each));
    return addresses.length === 0
      ? []
      : [{ name, addresses: addresses.sort((a, b) => b.seen - a.seen) }];
  });
}
