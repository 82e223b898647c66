import ipaddr from 'ipaddr.js';
import { type Address, type Family, parseAddress, readAs } from './address.ts';
import type { Branded } from './brand.ts';

/**
 * An IP prefix. `text` is canonical: host bits are zero, the length is always written
 * (`10.8.0.0/24`, `10.8.0.1/32`).
 */
export type Network = Branded<
  { readonly family: Family; readonly text: string; readonly prefix: number },
  'Network'
>;

/** Returns the bits in an address of the family. */
export function width(family: Family): 32 | 128 {
  return family === 'ipv4' ? 32 : 128;
}

/** Returns the byte of the network mask for this prefix. */
function maskByte(prefix: number, index: number): number {
  return (0xff00 >> Math.min(8, Math.max(0, prefix - index * 8))) & 0xff;
}

function masked(address: Address, prefix: number): Network {
  const bytes = readAs(address.family, address.text).toByteArray();
  const kept = bytes.map((byte, index) => byte & maskByte(prefix, index));
  const start = ipaddr.fromByteArray(kept);
  const text = start instanceof ipaddr.IPv6 ? start.toRFC5952String() : start.toString();
  return { family: address.family, prefix, text: `${text}/${prefix}` } as Network;
}

/**
 * Returns the network of this length around an address. Throws RangeError when the length does not
 * fit the family: a bug.
 */
export function networkOf(address: Address, prefix: number = width(address.family)): Network {
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > width(address.family))
    throw new RangeError(`prefix ${prefix}`);
  return masked(address, prefix);
}

/** Parses `10.8.0.0/24`, `fd00::/64`, or one address. Clears host bits, as iptables(8) does. */
export function parseNetwork(text: string): Network | undefined {
  const [head = '', length, ...more] = text.split('/');
  const address = parseAddress(head);
  if (address === undefined || more.length > 0) return undefined;
  if (length === undefined) return networkOf(address);
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > width(address.family))
    return undefined;
  return masked(address, Number(length));
}

/**
 * Returns the length of a dotted mask (`255.255.255.0` is 24); undefined when its ones are not
 * contiguous.
 */
export function parseNetmask(text: string): number | undefined {
  const address = parseAddress(text);
  if (address?.family !== 'ipv4') return undefined;
  return ipaddr.IPv4.parse(address.text).prefixLengthFromSubnetMask() ?? undefined;
}

/** Caches parsed bytes: the same few networks are compared with one another again and again. */
const starts = new WeakMap<Network, readonly number[]>();

/** Returns the bytes of the first address. */
function start(network: Network): readonly number[] {
  const { family, text } = network;
  const known =
    starts.get(network) ?? readAs(family, text.slice(0, text.lastIndexOf('/'))).toByteArray();
  starts.set(network, known);
  return known;
}

/** Tells whether every address of `inner` lies in `outer`. */
export function contains(outer: Network, inner: Network): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false;
  const bytes = start(inner);
  return start(outer).every(
    (byte, index) => ((byte ^ (bytes[index] ?? 0)) & maskByte(outer.prefix, index)) === 0,
  );
}

/**
 * Drops each network that lies inside another. Returns the same addresses in a stable order, as a
 * kernel interval set accepts them.
 */
export function disjoint(networks: readonly Network[]): readonly Network[] {
  const unique = [...new Map(networks.map((network) => [network.text, network])).values()];
  return unique
    .filter((inner) => !unique.some((outer) => outer !== inner && contains(outer, inner)))
    .sort((a, b) => (a.text < b.text ? -1 : 1));
}
