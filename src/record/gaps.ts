import type { KnownEndpoints } from './known-endpoints.ts';

/** Limit of names without an address that are listed one by one. */
const MOST_GAPS = 5;

/**
 * Lists the parts of the profiles that will not connect, one line each. First come names without an
 * address, with a count of the rest, then unreadable profiles.
 */
export function gaps({ named, pins, unread }: KnownEndpoints): readonly string[] {
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
