import type { HostName } from '../net/host-name.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Settings } from '../policy/settings.ts';
import type { LiveTunnel } from '../record/live-tunnels.ts';
import type { Resolver } from '../tunnel/resolvers.ts';

/** The resolvers that the system must ask while a tunnel is live. There is at least one. */
export interface Demand {
  readonly device: InterfaceName;
  readonly resolvers: readonly Resolver[];
  readonly searchDomains: readonly HostName[];
}

/**
 * Returns what the live tunnels demand of the system's DNS, the newest first. `KILLSWITCH_DNS`
 * replaces the pushed resolvers. Leaves out resolvers that the rules block: IPv6 ones, in a tunnel
 * without IPv6. Leaves out tunnels without a resolver.
 */
export function demandsOf(
  { dns, ipv6 }: Pick<Settings, 'dns' | 'ipv6'>,
  live: readonly LiveTunnel[],
): readonly Demand[] {
  const newestFirst = [...live].sort(
    (a, b) => b.since - a.since || (a.tunnel.device < b.tunnel.device ? -1 : 1),
  );
  return newestFirst.flatMap(({ tunnel: { device, addresses, resolvers, searchDomains = [] } }) => {
    const carries = {
      ipv4: true,
      ipv6: ipv6 === 'tunnel' && addresses.some(({ family }) => family === 'ipv6'),
    };
    const usable = (dns ?? resolvers).filter(({ family }) => carries[family]);
    return usable.length === 0 ? [] : [{ device, resolvers: usable, searchDomains }];
  });
}
