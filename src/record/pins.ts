import { field, type Json, texts } from '../machine/json.ts';
import { type Address, isUnicast, parseAddress } from '../net/address.ts';
import { type HostName, parseHostName } from '../net/host-name.ts';

/** Who said that an address belongs to a name. Those of `isRootsOwn` are root's own word. */
export type Origin =
  /** A line of root's in hosts(5). */
  | { readonly kind: 'hosts' }
  /** The system's resolvers, asked by a person's command while no tunnel was up. */
  | { readonly kind: 'lock'; readonly resolvers: readonly string[] }
  /** Resolvers asked while this tunnel was up: its server chose the answer. */
  | { readonly kind: 'tunnel'; readonly device: string; readonly resolvers: readonly string[] }
  /**
   * The client of this tunnel had connected to it when the hook locked the machine: the name is its
   * own profile's.
   */
  | { readonly kind: 'connection'; readonly device: string }
  /** A file of an earlier version, which did not say. */
  | { readonly kind: 'unknown' };

/** An address that answered for a name. Times are seconds since 1970. */
export interface PinnedAddress {
  readonly address: Address;
  /** When an answer last named it. */
  readonly seen: number;
  readonly from: Origin;
  /** When a tunnel of the name's own profile was last seen connected to it. */
  readonly used?: number;
}

/**
 * A name of a VPN server and the addresses that stand for it while no resolver can be asked, the
 * newest first.
 */
export interface Pin {
  readonly name: HostName;
  readonly addresses: readonly PinnedAddress[];
}

/** How many addresses stand for each name. */
export function addressCounts(pins: readonly Pin[]): ReadonlyMap<string, number> {
  return new Map(pins.map(({ name, addresses }) => [name, addresses.length]));
}

/** What was answered for a name. */
export interface Answer {
  readonly addresses: readonly Address[];
  readonly from: Origin;
}

/**
 * An address that no handshake has used expires when no answer has named it for so long (seconds).
 */
const KEPT = 30 * 86_400;
/**
 * Addresses of one name that a tunnel's resolver may add: enough for a client, which tries a few at
 * most.
 */
export const MOST_OF_TUNNEL = 12;
/**
 * Addresses of one name in all that root's own lock may find, and that handshakes may have used.
 */
const [MOST_OF_LOCK, MOST_USED] = [512, 64];

/**
 * Whether root said so, not a VPN's server: root's own client found the address on an open machine,
 * and a handshake proved it.
 */
export function isRootsOwn({ kind }: Origin): boolean {
  return kind === 'hosts' || kind === 'lock' || kind === 'connection';
}

/** The origin in words for people. */
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
    // What root found stays root's, also when a tunnel says the same.
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

/** The first `most` that fit, and all that do not. */
function atMost(
  addresses: readonly PinnedAddress[],
  most: number,
  fits: (each: PinnedAddress) => boolean,
): readonly PinnedAddress[] {
  const kept = new Set(addresses.filter(fits).slice(0, most));
  return addresses.filter((each) => !fits(each) || kept.has(each));
}

/**
 * Pins after an answer: its addresses are new, and earlier ones stay as a fallback. A tunnel's
 * answer evicts only addresses that tunnels gave and no handshake has used. When everything of a
 * name has expired, what root's own lock found stays.
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

/** The same pins, with the time of a handshake where `uses` names the address for the name. */
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

/** A pin's address as JSON holds it, and as `status --json` shows it. */
export function pinnedJson({ seen, from, used }: PinnedAddress): Readonly<Record<string, Json>> {
  return { seen, ...originJson(from), ...(used !== undefined && { used }) };
}

/** Pins as JSON holds them: name to address to what is known of it. */
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
  // Earlier versions kept the time alone.
  const seen = typeof json === 'number' ? json : field(json, 'seen');
  if (address === undefined || !isUnicast(address) || typeof seen !== 'number') return [];
  const used = field(json, 'used');
  return [{ address, seen, from: parseOrigin(json), ...(typeof used === 'number' && { used }) }];
}

/** What `pinsJson` gave; entries that do not parse are left out: they would only open less. */
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
