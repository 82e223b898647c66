import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { connectedNetworks } from '../machine/connected-networks.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import { parseAddress } from '../net/address.ts';
import type { HostName } from '../net/host-name.ts';
import { publicAddresses } from '../net/public-address.ts';
import type { Settings } from '../policy/settings.ts';
import type { Ask } from '../record/gather-known.ts';
import { ownEntries } from '../record/hosts-file.ts';
import { type LiveTunnel, readLiveTunnels, staleTunnels } from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { type Answer, isRootsOwn, type Origin } from '../record/pins.ts';
import { namesOfTunnel } from '../record/tunnel-names.ts';

/**
 * Returns the live tunnels whose device exists: a query to another tunnel's resolvers would only
 * time out.
 */
function presentTunnels(host: Host): readonly LiveTunnel[] {
  const live = readLiveTunnels(host);
  const gone = staleTunnels(host, live);
  return live.filter((each) => !gone.includes(each));
}

/** Reads the resolvers of resolv.conf(5). */
function systemResolvers(files: Files): readonly string[] {
  return readAnybodys(files, PATHS.resolvConf)
    .split('\n')
    .flatMap((line) => {
      const [key, value = ''] = line.trim().split(/\s+/);
      return key === 'nameserver' ? (parseAddress(value)?.text ?? []) : [];
    });
}

/**
 * Turns DNS answers into pins' answers. Of a VPN server's answer it skips addresses of this
 * machine, its LAN and private networks.
 */
function answersOf(
  files: Files,
  found: ReadonlyMap<string, readonly string[]>,
  names: readonly HostName[],
  from: Origin,
): readonly (readonly [string, Answer])[] {
  const local = isRootsOwn(from) ? [] : connectedNetworks(files);
  return [...found].flatMap(([name, texts]) => {
    if (!names.some((each) => each === name)) return [];
    const addresses = texts.flatMap((text) => parseAddress(text) ?? []);
    return [
      [
        name,
        { addresses: isRootsOwn(from) ? addresses : publicAddresses(addresses, local), from },
      ] as const,
    ];
  });
}

/**
 * Asks the system's resolvers for every name. While a tunnel is up, their answers count as its
 * server's: they come from that server, or past it.
 */
function askSystem(
  host: Host,
  names: readonly HostName[],
  seconds: number,
): readonly (readonly [string, Answer])[] {
  const [present] = presentTunnels(host);
  const resolvers = systemResolvers(host);
  const from: Origin =
    present === undefined
      ? { kind: 'lock', resolvers }
      : { kind: 'tunnel', device: present.tunnel.device, resolvers };
  return answersOf(host, host.resolve(names, undefined, seconds), names, from);
}

/**
 * Asks each tunnel's resolvers for the names of the tunnel's own profile, from the tunnel's own
 * address. The rule tunnel-address drops an answer that comes another way.
 */
function askTunnels(
  host: Host,
  settings: Settings,
  names: readonly HostName[],
  seconds: number,
): readonly (readonly [string, Answer])[] {
  const asked = presentTunnels(host)
    .map((live) => ({
      live,
      own: namesOfTunnel(host, settings, live).filter((name) => names.includes(name)),
    }))
    .filter(({ own }) => own.length > 0);
  return asked.flatMap(({ live: { tunnel }, own }) => {
    const resolvers = (settings.dns ?? tunnel.resolvers).map(({ text }) => text);
    if (resolvers.length === 0) return [];
    const sources = tunnel.addresses.map(({ text }) => text);
    const found = host.resolve(own, resolvers, Math.ceil(seconds / asked.length), sources);
    return answersOf(host, found, own, { kind: 'tunnel', device: tunnel.device, resolvers });
  });
}

/**
 * Returns the way to resolve names of VPN servers: the owner's lines in hosts(5) first. Then the
 * system's resolvers while nothing is locked, else the tunnels' resolvers. `seconds` limits the
 * wait.
 */
export function askNow(host: Host, settings: Settings, seconds: number): Ask {
  return (names) => {
    const own = ownEntries(host.read(PATHS.hosts) ?? '');
    const left = names.filter((name) => !own.has(name));
    const isLocked = readLockRecord(host)?.locked === true;
    const answers = isLocked
      ? askTunnels(host, settings, left, seconds)
      : askSystem(host, left, seconds);
    const written = names.flatMap((name) => {
      const addresses = own.get(name);
      return addresses === undefined
        ? []
        : [[name, { addresses, from: { kind: 'hosts' } }] as const];
    });
    return new Map<string, Answer>([...written, ...answers]);
  };
}
