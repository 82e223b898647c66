import type { Address } from './address.ts';
import { contains, type Network, networkOf, parseNetwork } from './network.ts';

/**
 * Networks that hold no server on the internet: RFC 6890's tables without the documentation
 * networks. Also IPv6 addresses that carry an IPv4 one and may hide any of the others: NAT64 (RFC
 * 6052 and 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
 */
const NEVER_PUBLIC = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.88.99.0/24', '192.168.0.0/16', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/32', '2002::/16'],
  ...['fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
] as const;

/** Keeps the addresses that servers on the internet can have, outside the networks `local`. */
export function publicAddresses(
  addresses: readonly Address[],
  local: readonly Network[],
): readonly Address[] {
  // Parse here, not at the start: a hook never runs this.
  const shut = [...NEVER_PUBLIC.flatMap((text) => parseNetwork(text) ?? []), ...local];
  return addresses.filter(
    (address) => !shut.some((network) => contains(network, networkOf(address))),
  );
}
