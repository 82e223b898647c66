import type { HostName } from '../net/host-name.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Settings } from '../policy/settings.ts';
import type { LiveTunnel } from '../record/live-tunnels.ts';
import type { Resolver } from '../tunnel/resolvers.ts';

/** Whom the system is to ask while a tunnel is live. There is at least one resolver. */
export interface Demand {
  readonly device: InterfaceName;
  readonly resolvers: readonly Resolver[];
  readonly searchDomains: readonly HostName[];
}

/**
 * What the live tunnels demand of the system's DNS, the newest first. `KILLSWITCH_DNS` takes the
 * place of what was pushed. Resolvers that the rules keep from being asked are left out: of IPv6,
 * in a tunnel that has none. So are tunnels without any.
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
