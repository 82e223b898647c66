import { type Address, isUnicast, parseAddress } from '../net/address.ts';
import { type HostName, parseHostName } from '../net/host-name.ts';
import { field, type Json } from './json.ts';

/** An address that answered for a name, and when it last did (seconds since 1970). */
export interface PinnedAddress {
  readonly address: Address;
  readonly seen: number;
}

/** A name of a VPN server and the addresses that stand for it while no resolver can be asked, the newest first. */
export interface Pin {
  readonly name: HostName;
  readonly addresses: readonly PinnedAddress[];
}

/** Addresses that no answer has named for so long (seconds) are forgotten, unless no others are known. */
const KEPT = 30 * 86_400;
/** More addresses of one name are not kept: a client tries a few at most. */
const MOST = 512;

/** Pins after an answer: its addresses are new, earlier ones stay as a fallback, a name without an answer keeps what it had. */
export function renewPins(
  names: readonly HostName[],
  old: readonly Pin[],
  answers: ReadonlyMap<string, readonly Address[]>,
  now: number,
): readonly Pin[] {
  return [...new Set(names)].sort().flatMap((name) => {
    const before = old.find((pin) => pin.name === name)?.addresses ?? [];
    const fresh = (answers.get(name) ?? []).filter(isUnicast).map((address) => ({ address, seen: now }));
    const known = new Set(fresh.map(({ address }) => address.text));
    const rest = before.filter(({ address, seen }) => !known.has(address.text) && (fresh.length === 0 || now - seen < KEPT));
    const addresses = [...fresh, ...rest.sort((one, other) => other.seen - one.seen)].slice(0, MOST);
    return addresses.length === 0 ? [] : [{ name, addresses }];
  });
}

/** Pins as JSON holds them: name to address to time. */
export function pinsJson(pins: readonly Pin[]): Json {
  return Object.fromEntries(
    pins.map(({ name, addresses }) => [name, Object.fromEntries(addresses.map(({ address, seen }) => [address.text, seen]))]),
  );
}

/** What `pinsJson` gave; entries that do not parse are left out: they would only open less. */
export function parsePins(json: Json | undefined): readonly Pin[] {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return [];
  return Object.keys(json).flatMap((key) => {
    const name = parseHostName(key);
    const entries = field(json, key);
    if (name === undefined || typeof entries !== 'object' || entries === null || Array.isArray(entries)) return [];
    const addresses = Object.entries(entries).flatMap(([text, seen]) => {
      const address = parseAddress(text);
      return address !== undefined && isUnicast(address) && typeof seen === 'number' ? [{ address, seen }] : [];
    });
    return addresses.length === 0 ? [] : [{ name, addresses: addresses.sort((a, b) => b.seen - a.seen) }];
  });
}
