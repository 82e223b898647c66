import type { Address } from './address.ts';
import { contains, type Network, networkOf, parseNetwork } from './network.ts';

/**
 * Networks in which no server on the internet can stand: RFC 6890's tables without the
 * documentation networks, and IPv6 addresses that carry an IPv4 one (NAT64, RFC 6052 and 8215;
 * 6to4, RFC 3056; Teredo, RFC 4380), behind which any of the others may hide.
 */
const NEVER_PUBLIC = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.88.99.0/24', '192.168.0.0/16', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/32', '2002::/16'],
  ...['fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
] as const;

/**
 * The addresses that can be those of servers on the internet, and lie in none of the networks
 * `local`.
 */
export function publicAddresses(
  addresses: readonly Address[],
  local: readonly Network[],
): readonly Address[] {
  // Parsed here and not at the start: a hook never comes here.
  const shut = [...NEVER_PUBLIC.flatMap((text) => parseNetwork(text) ?? []), ...local];
  return addresses.filter(
    (address) => !shut.some((network) => contains(network, networkOf(address))),
  );
}
