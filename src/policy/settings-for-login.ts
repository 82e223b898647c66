import { contains, type Network, width } from '../net/network.ts';
import { onlyPort, type Port, type PortRange, type Service } from '../net/port.ts';
import { LOCAL_MULTICAST, PRIVATE_NETWORKS } from '../net/well-known.ts';
import type { LanEntry, LanSetting, Settings } from './settings.ts';

/** Where a login comes from: an address off the tunnel, or the other end of a tunnel. */
export type LoginFrom =
  | { readonly kind: 'network'; readonly network: Network }
  | { readonly kind: 'tunnel' };

function rangeText({ first, last }: PortRange): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

function serviceText({ ports, transport }: Service): string {
  return `${rangeText(ports)}/${transport}`;
}

/** Writes an entry of `KILLSWITCH_LAN`; writes a network of one host as its address. */
function entryText({ network: { family, prefix, text }, service }: LanEntry): string {
  const bare = prefix === width(family) ? text.slice(0, text.indexOf('/')) : text;
  if (service === undefined) return bare;
  return `${family === 'ipv6' ? `[${bare}]` : bare}:${serviceText(service)}`;
}

function isOpen(services: readonly Service[], port: Port): boolean {
  return services.some(
    ({ ports, transport }) => transport === 'tcp' && ports.first <= port && port <= ports.last,
  );
}

function lanNetworks(lan: LanSetting): readonly Network[] {
  switch (lan.kind) {
    case 'off':
      return [];
    case 'private':
      return PRIVATE_NETWORKS;
    case 'list':
      return lan.entries.map(({ network }) => network);
    default:
      return lan satisfies never;
  }
}

/** Tells whether a network lies in the LAN that the settings mean. */
export function isInLan({ lan }: Pick<Settings, 'lan'>, network: Network): boolean {
  return lanNetworks(lan).some((each) => contains(each, network));
}

/**
 * Adds one service of a network to the LAN. A list replaces "private", so it names the private
 * networks that this machine is connected to.
 */
function widened(lan: LanSetting, entry: LanEntry, connected: readonly Network[]): LanSetting {
  const own = connected.filter((each) => PRIVATE_NETWORKS.some((known) => contains(known, each)));
  const before =
    lan.kind === 'list'
      ? lan.entries
      : lan.kind === 'off' || own.length === 0
        ? []
        : [...own, ...LOCAL_MULTICAST].map((network) => ({ network, service: undefined }));
  return { kind: 'list', entries: [...before, entry] };
}

/** Returns the settings that also allow logins at one TCP port, and nothing else. */
export function settingsForLogin(
  settings: Settings,
  from: LoginFrom,
  port: Port,
  connected: readonly Network[],
): Settings {
  const service: Service = { ports: onlyPort(port), transport: 'tcp' };
  const plus = (services: readonly Service[]) =>
    isOpen(services, port) ? services : [...services, service];
  if (from.kind === 'tunnel') return { ...settings, tunnelInbound: plus(settings.tunnelInbound) };
  const { network } = from;
  return {
    ...settings,
    lan: isInLan(settings, network)
      ? settings.lan
      : widened(settings.lan, { network, service }, connected),
    lanInbound: plus(settings.lanInbound),
    ipv6: network.family === 'ipv6' ? 'tunnel' : settings.ipv6,
  };
}

function lanText(lan: LanSetting): string {
  return lan.kind === 'list' ? lan.entries.map(entryText).join(',') : lan.kind;
}

/** Returns the lines of the settings file that turn `before` into `after`, as far as logins go. */
export function loginLines(before: Settings, after: Settings): readonly string[] {
  const texts = ({ lan, lanInbound, tunnelInbound, ipv6 }: Settings) => ({
    KILLSWITCH_LAN: lanText(lan),
    KILLSWITCH_LAN_INBOUND: lanInbound.map(serviceText).join(','),
    KILLSWITCH_TUNNEL_INBOUND: tunnelInbound.map(serviceText).join(','),
    KILLSWITCH_IPV6: ipv6,
  });
  const was: Readonly<Record<string, string>> = texts(before);
  return Object.entries(texts(after)).flatMap(([key, value]) =>
    was[key] === value ? [] : [`${key}=${value}`],
  );
}

/** Stands for the address that a login comes from, while it is unknown. */
export const UNNAMED = 'ADDRESS';

/** Returns the lines that allow a login from an address still to be named. */
export function unnamedLines(settings: Settings, port: Port): readonly string[] {
  const { lan, lanInbound } = settings;
  const before = lan.kind === 'list' ? `${lanText(lan)},` : '';
  const services = [
    ...lanInbound.map(serviceText),
    ...(isOpen(lanInbound, port) ? [] : [`${port}/tcp`]),
  ];
  return [
    `KILLSWITCH_LAN=${before}${UNNAMED}:${port}/tcp`,
    ...(isOpen(lanInbound, port) ? [] : [`KILLSWITCH_LAN_INBOUND=${services.join(',')}`]),
  ];
}
