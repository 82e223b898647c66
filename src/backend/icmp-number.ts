type Protocol = 'icmp' | 'icmpv6';

/**
 * nft's names of the ICMP types and codes in our rules (nft(8), ICMP HEADER EXPRESSION and ICMPV6
 * HEADER EXPRESSION; src/proto.c). Its JSON has no numeric mode for them, and newer versions list
 * codes by number.
 */
const NUMBERS: Readonly<
  Record<Protocol, Readonly<Record<'type' | 'code', Readonly<Record<string, number>>>>>
> = {
  icmp: {
    type: {
      'destination-unreachable': 3,
      'echo-request': 8,
      'time-exceeded': 11,
      'parameter-problem': 12,
    },
    code: { 'host-unreachable': 1 },
  },
  icmpv6: {
    type: {
      'destination-unreachable': 1,
      'packet-too-big': 2,
      'time-exceeded': 3,
      'parameter-problem': 4,
      'echo-request': 128,
      'mld-listener-query': 130,
      'mld-listener-report': 131,
      'mld-listener-done': 132,
      'mld-listener-reduction': 132,
      'nd-router-solicit': 133,
      'nd-router-advert': 134,
      'nd-neighbor-solicit': 135,
      'nd-neighbor-advert': 136,
      'mld2-listener-report': 143,
    },
    code: { 'admin-prohibited': 1 },
  },
};

/**
 * Returns the number of a type or code that nft lists by name after `icmp type`, `icmpv6 code` and
 * the like. Undefined for other words.
 */
export function icmpNumber(selector: string, name: string): string | undefined {
  const [, protocol, field] = /^(icmp|icmpv6) (type|code)$/.exec(selector) ?? [];
  if (protocol !== 'icmp' && protocol !== 'icmpv6') return undefined;
  return NUMBERS[protocol][field === 'code' ? 'code' : 'type'][name]?.toString();
}

/** Returns a listing with ICMP types and codes as numbers. */
export function withIcmpNumbers(listing: string): string {
  return listing.replace(
    /\b(icmp(?:v6)? (?:type|code)) (\{ [^{}\n]+ \}|\S+)/g,
    (_, selector: string, names: string) =>
      `${selector} ${names.replace(/[a-z][a-z0-9-]+/g, (name) => icmpNumber(selector, name) ?? name)}`,
  );
}
