import type { Address } from '../net/address.ts';
import { distinctEndpoints, type Endpoint, endpointText } from '../net/endpoint.ts';
import type { Interfaces } from '../net/interface-pattern.ts';
import type { Service } from '../net/port.ts';
import type { Session } from '../net/session.ts';
import { LOCAL_MULTICAST, PRIVATE_NETWORKS } from '../net/well-known.ts';
import type { FormerTunnel } from '../tunnel/former-tunnel.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import { describePortal, type Portal } from './portal.ts';
import type { LanEntry, LogLimit, Refuse, Settings } from './settings.ts';

/**
 * The packets that an owner means: those of sockets that a user opened, or those with a firewall
 * mark (`--mark` in OpenVPN).
 */
export type Owner =
  | { readonly kind: 'uid'; readonly uid: number }
  | { readonly kind: 'mark'; readonly mark: number };

/** The facts of every state: the settings, with every name in them looked up. */
export interface Base {
  readonly endpoints: readonly Endpoint[];
  /** undefined: packets of any account. */
  readonly owners: readonly Owner[] | undefined;
  /** User ids of the DHCP clients that do not run as root. */
  readonly dhcpUids: readonly number[];
  readonly lan: readonly LanEntry[];
  /**
   * Whether the networks of earlier connections stay shut. A LAN that the settings list network by
   * network wins over them. The LAN "every private address" does not.
   */
  readonly remembers: boolean;
  readonly lanInbound: readonly Service[];
  readonly lanDns: readonly Address[];
  readonly tunnelPorts: readonly Service[] | undefined;
  readonly tunnelInbound: readonly Service[];
  readonly dns: readonly Address[] | undefined;
  readonly ipv6: 'tunnel' | 'block';
  readonly forward: readonly Interfaces[];
  readonly refuse: Refuse;
  readonly logDrops: LogLimit | undefined;
  /** SSH sessions that were open when a person ran `lock` in one of them. */
  readonly sessions: readonly Session[];
}

/** The facts of every state: the base, and the networks that former tunnels keep shut. */
interface EveryPolicy {
  readonly base: Base;
  readonly former: readonly FormerTunnel[];
}

/**
 * A closed set of states, each of which says what may pass. None is open: the human's command
 * `unlock` opens the machine by removing the rules.
 */
export type Policy =
  | (EveryPolicy & { readonly state: 'blocked' })
  | (EveryPolicy & { readonly state: 'portal'; readonly portal: Portal })
  | (EveryPolicy & {
      readonly state: 'connected';
      readonly tunnels: readonly [Tunnel, ...Tunnel[]];
    });

/** Facts that the settings name but do not hold. */
export interface Known {
  /** Endpoints of the profiles. */
  readonly endpoints: readonly Endpoint[];
  /** User ids that `KILLSWITCH_ENDPOINT_OWNER` stands for; ignored for `any` and `mark`. */
  readonly uids: readonly number[];
  /** User ids of the accounts that DHCP clients run as, besides root. */
  readonly dhcpUids?: readonly number[];
}

function ownersOf({ endpointOwner }: Settings, { uids }: Known): readonly Owner[] | undefined {
  switch (endpointOwner.kind) {
    case 'any':
      return undefined;
    case 'mark':
      return [{ kind: 'mark', mark: endpointOwner.mark }];
    case 'auto':
    case 'root':
    case 'user':
      return [...new Set(uids)].sort((a, b) => a - b).map((uid) => ({ kind: 'uid', uid }));
    default:
      return endpointOwner satisfies never;
  }
}

function lanOf({ lan }: Settings): readonly LanEntry[] {
  switch (lan.kind) {
    case 'off':
      return [];
    case 'private':
      return [...PRIVATE_NETWORKS, ...LOCAL_MULTICAST].map((network) => ({
        network,
        service: undefined,
      }));
    case 'list':
      return lan.entries;
    default:
      return lan satisfies never;
  }
}

/** Builds the base that settings describe. */
export function baseOf(settings: Settings, known: Known, sessions: readonly Session[] = []): Base {
  const { lanInbound, lanDns, tunnelPorts, tunnelInbound, dns, ipv6, forward, refuse, logDrops } =
    settings;
  const endpoints = distinctEndpoints([...settings.endpoints, ...known.endpoints]);
  const allowed =
    ipv6 === 'block' ? endpoints.filter(({ address }) => address.family === 'ipv4') : endpoints;
  return {
    endpoints: allowed,
    owners: ownersOf(settings, known),
    dhcpUids: known.dhcpUids ?? [],
    lan: lanOf(settings),
    remembers: settings.lan.kind === 'private',
    lanInbound,
    lanDns,
    tunnelPorts,
    tunnelInbound,
    dns,
    ipv6,
    forward,
    refuse,
    logDrops,
    sessions,
  };
}

/**
 * Decides the state that a base and the live tunnels make. Sorts tunnels, so that the same facts
 * give the same policy. Beside a tunnel there is no portal.
 */
export function decide(
  base: Base,
  live: readonly Tunnel[],
  portal?: Portal,
  formerTunnels: readonly FormerTunnel[] = [],
): Policy {
  const former = ordered(formerTunnels, ({ kind, device, networks }) =>
    [device ?? '', kind, ...networks.map(({ text }) => text)].join(' '),
  );
  const [first, ...others] = ordered(live, ({ device }) => device);
  if (first !== undefined) return { state: 'connected', base, former, tunnels: [first, ...others] };
  return portal === undefined
    ? { state: 'blocked', base, former }
    : { state: 'portal', base, former, portal };
}

function ordered<Item>(items: readonly Item[], nameOf: (item: Item) => string): readonly Item[] {
  return [...items].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** Returns the tunnels of a policy: none while it is blocked. */
export function tunnelsOf(policy: Policy): readonly Tunnel[] {
  return policy.state === 'connected' ? policy.tunnels : [];
}

/** Names the devices that reconnect, and counts the networks they keep shut. */
function reconnectingTexts({ former }: Policy): readonly string[] {
  return former.flatMap(({ kind, device, networks: { length } }) =>
    kind === 'reconnecting' && device !== undefined
      ? [`${device} reconnects, ${length} network${length === 1 ? '' : 's'} kept shut`]
      : [],
  );
}

function tunnelTexts(policy: Policy): readonly string[] {
  return [...stateTexts(policy), ...reconnectingTexts(policy)];
}

function stateTexts(policy: Policy): readonly string[] {
  if (policy.state === 'portal') return [describePortal(policy.portal)];
  return tunnelsOf(policy).map(({ device, endpoints, resolvers }) => {
    const [endpoint] = endpoints;
    const via = endpoint === undefined ? '' : ` to ${endpointText(endpoint)}`;
    const dns = (policy.base.dns ?? resolvers).map(({ text }) => text);
    return `${device}${via}, ${dns.length > 0 ? `resolvers ${dns.join(' ')}` : 'no resolver'}`;
  });
}

/** Describes the state and its tunnels in one line for the log. */
export function describeTunnels(policy: Policy): string {
  return [policy.state, ...tunnelTexts(policy)].join('; ');
}

/** Describes the policy in one line for people. */
export function describe(policy: Policy): string {
  const { length } = policy.base.endpoints;
  return [
    `${policy.state}, ${length} endpoint${length === 1 ? '' : 's'}`,
    ...tunnelTexts(policy),
  ].join('; ');
}
