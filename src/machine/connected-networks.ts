import type { Files } from '../host/files.ts';
import { type Network, parseNetwork } from '../net/network.ts';
import { routes } from './uplink.ts';

/**
 * The IPv6 routes of every table (Documentation/networking/ipv6.rst; net/ipv6/route.c,
 * rt6_info_route).
 */
const IPV6_ROUTES = '/proc/net/ipv6_route';
/** RTF_GATEWAY (linux/route.h). */
const GATEWAY = 2;
/**
 * The shortest prefix of a connected network. A shorter route without a gateway counts as a default
 * route.
 */
const SHORTEST = { ipv4: 8, ipv6: 16 } as const;

function ipv6Networks(text: string): readonly Network[] {
  return text.split('\n').flatMap((line) => {
    const [to = '', length = '', , , , , , , flags = ''] = line.trim().split(/\s+/);
    const groups = to.match(/[0-9a-f]{4}/gi);
    if (groups?.length !== 8 || (Number.parseInt(flags, 16) & GATEWAY) !== 0) return [];
    return parseNetwork(`${groups.join(':')}/${Number.parseInt(length, 16)}`) ?? [];
  });
}

/**
 * Returns the networks that this machine reaches without a gateway: those of its own interfaces.
 */
export function connectedNetworks(files: Files): readonly Network[] {
  const ipv4 = routes(files.read('/proc/net/route') ?? '').flatMap(({ gateway, network }) =>
    gateway === undefined ? [network] : [],
  );
  return [...ipv4, ...ipv6Networks(files.read(IPV6_ROUTES) ?? '')].filter(
    ({ family, prefix }) => prefix >= SHORTEST[family],
  );
}
