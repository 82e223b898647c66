import type { Host } from '../host/host.ts';
import { connectedNetworks } from '../machine/connected-networks.ts';
import { saidSession } from '../machine/own-ssh-session.ts';
import { type Door, sshDoors } from '../machine/ssh-doors.ts';
import { portOf, rootsListeners, tcpSockets } from '../machine/tcp-sockets.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { type InterfaceName, parseInterfaceName } from '../net/interface-name.ts';
import { contains, type Network, networkOf, parseNetwork } from '../net/network.ts';
import type { Port } from '../net/port.ts';
import { LINK_LOCAL_IPV6, LOCAL_MULTICAST, PRIVATE_NETWORKS } from '../net/well-known.ts';
import { baseOf, decide } from '../policy/policy.ts';
import type { Settings } from '../policy/settings.ts';
import {
  isInLan,
  type LoginFrom,
  loginLines,
  settingsForLogin,
  unnamedLines,
} from '../policy/settings-for-login.ts';
import { type KeptShut, readAfterLock } from '../record/kept-shut.ts';
import { readLiveTunnels } from '../record/live-tunnels.ts';
import { compile } from '../ruleset/compile.ts';
import { letsIn, type NewLogin } from '../ruleset/new-login.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';

/** An SSH login that a lock would drop. */
export interface ShutLogin {
  readonly port: Port;
  /**
   * The address of the login: the client of the caller's own SSH session. undefined: no address
   * could log in.
   */
  readonly from: Address | undefined;
  /** Lines of the settings file that let it in; none where no setting does. */
  readonly lines: readonly string[];
}

/** Stands for any interface that is no tunnel: no rule names it. */
const UPLINK = 'uplink';
/** Stands for an address of this machine: rules name only those of tunnels. */
const HERE = { ipv4: parseAddress('192.0.2.1'), ipv6: parseAddress('2001:db8::1') } as const;
/** A host at the other end of a tunnel. */
const BEYOND = parseAddress('198.18.0.1');

/** Builds a tunnel such as the next connection brings. */
function nextTunnel(): Tunnel | undefined {
  const [device, address] = [parseInterfaceName('tun0'), parseAddress('10.8.0.2')];
  return device && address
    ? { device, endpoints: [], addresses: [address], resolvers: [], networks: [] }
    : undefined;
}

/** A way to log in, and what the settings would have to name for it. */
interface Way {
  readonly login: NewLogin;
  readonly from: LoginFrom;
}

/** Where such rules come from: the settings, and the current or next connections. */
interface Place {
  readonly tunnels: readonly Tunnel[];
  readonly former: KeptShut['former'];
  readonly connected: readonly Network[];
}

/** Networks that no login comes from: IPv4's link-local ones, loopback and multicast. */
const NEVER_ROUTED: readonly Network[] = [
  '169.254.0.0/16',
  '127.0.0.0/8',
  'ff00::/8',
  '::1/128',
].flatMap((text) => parseNetwork(text) ?? []);

function readPlace(host: Host): Place {
  const live = readLiveTunnels(host);
  const tunnels = live.map(({ tunnel }) => tunnel);
  const next = nextTunnel();
  const own = tunnels.flatMap(({ addresses }) => addresses.map((each) => networkOf(each)));
  const apart = [...LINK_LOCAL_IPV6, ...LOCAL_MULTICAST, ...NEVER_ROUTED];
  return {
    tunnels: tunnels.length > 0 || next === undefined ? tunnels : [next],
    former: readAfterLock(host, live).former,
    connected: connectedNetworks(host).filter(
      (network) =>
        !apart.some((each) => contains(each, network)) &&
        !own.some((address) => contains(network, address)),
    ),
  };
}

function rulesOf(settings: Settings, { tunnels, former }: Place): Ruleset {
  const base = baseOf(settings, { endpoints: [], uids: [0] });
  return compile(decide(base, tunnels, undefined, former));
}

function firstOf({ text }: Network): Address | undefined {
  return parseAddress(text.slice(0, text.indexOf('/')));
}

/**
 * Lists where the settings could let a login in from: attached networks, a list, and the tunnel.
 */
function waysTo(door: Door, settings: Settings, { connected, tunnels }: Place): readonly Way[] {
  const listed =
    settings.lan.kind === 'list' ? settings.lan.entries.map(({ network }) => network) : [];
  const near = [...connected, ...listed].flatMap((network): readonly Way[] => {
    const [from, to] = [firstOf(network), door.address ?? HERE[network.family]];
    if (from === undefined || to === undefined || !door.families.includes(network.family))
      return [];
    if (to.family !== from.family) return [];
    const { port } = door;
    return [{ login: { from, to, port, device: UPLINK }, from: { kind: 'network', network } }];
  });
  const beyond = tunnels.flatMap(({ device, addresses }) =>
    addresses.flatMap((to): readonly Way[] => {
      if (BEYOND === undefined || to.family !== BEYOND.family || door.address !== undefined)
        return [];
      return [{ login: { from: BEYOND, to, port: door.port, device }, from: { kind: 'tunnel' } }];
    }),
  );
  return [...near, ...beyond];
}

/**
 * Returns the lines that let a login in; none where no setting does, for example from a network of
 * the VPN's.
 */
function linesFor(settings: Settings, place: Place, { login, from }: Way): readonly string[] {
  const wider = settingsForLogin(settings, from, login.port, place.connected);
  return letsIn(rulesOf(wider, place), login) ? loginLines(settings, wider) : [];
}

/** Returns the device of a live tunnel with this local address; else any interface. */
function deviceOf(address: Address, { tunnels }: Place): InterfaceName | undefined {
  return tunnels.find(({ addresses }) => addresses.some(({ text }) => text === address.text))
    ?.device;
}

/**
 * Finds a new SSH login that these settings would drop: from the client of the caller's own SSH
 * session, when there is one, else from every address. Returns undefined where a login would pass,
 * and where no sshd listens.
 */
export function shutLogin(host: Host, settings: Settings): ShutLogin | undefined {
  const doors = sshDoors(host);
  const said = saidSession(host);
  const isOwn =
    said !== undefined &&
    rootsListeners(tcpSockets(host)).some((each) => portOf(each) === said.herePort);
  if (doors.length === 0 && !isOwn) return undefined;
  const place = readPlace(host);
  const rules = rulesOf(settings, place);
  if (isOwn) {
    const { there: from, here: to, herePort } = said;
    const tunnel = deviceOf(to, place);
    const ports = [...new Set([herePort, ...doors.map(({ port }) => port)])];
    const logins = ports.map((port) => ({ from, to, port, device: tunnel ?? UPLINK }));
    const [login] = logins;
    if (login === undefined || logins.some((each) => letsIn(rules, each))) return undefined;
    const way: Way = {
      login,
      from:
        tunnel === undefined ? { kind: 'network', network: networkOf(from) } : { kind: 'tunnel' },
    };
    return { port: herePort, from, lines: linesFor(settings, place, way) };
  }
  const ways = doors.flatMap((door) => waysTo(door, settings, place));
  if (ways.some(({ login }) => letsIn(rules, login))) return undefined;
  const [door] = doors;
  if (door === undefined) return undefined;
  // Neighbours of a public address are strangers: open only a private network as a whole.
  const near = ways.filter(
    ({ from }) =>
      from.kind === 'network' && PRIVATE_NETWORKS.some((each) => contains(each, from.network)),
  );
  const best =
    near.find(({ from }) => from.kind === 'network' && isInLan(settings, from.network)) ?? near[0];
  return {
    port: door.port,
    from: undefined,
    lines: best === undefined ? unnamedLines(settings, door.port) : linesFor(settings, place, best),
  };
}
