import { type Family, isUnicast } from '../net/address.ts';
import { distinctEndpoints, type Endpoint, parseEndpoint } from '../net/endpoint.ts';
import { type HostName, parseHostName } from '../net/host-name.ts';
import type { Port, Transport } from '../net/port.ts';
import { printable } from '../net/printable.ts';
import { writtenAddress } from '../net/written-address.ts';
import { writtenPort } from '../net/written-port.ts';
import { options } from './profile-options.ts';

/**
 * One server that a profile may connect to: with a proxy, the proxy. `host` is as written: an
 * address or a name.
 */
export interface Remote {
  readonly host: string;
  readonly port: string;
  readonly transport: Transport;
  /** The only family whose addresses OpenVPN uses for it (`udp4`, `tcp6`, …); without it either. */
  readonly family?: Family;
}

/** The facts that the kill switch needs from a profile (.ovpn, .conf). */
export interface Profile {
  readonly remotes: readonly Remote[];
  /** The account OpenVPN changes to after it has started: `user`. */
  readonly user: string | undefined;
}

interface Proxy {
  readonly host: string;
  readonly port: string;
}

/** The options of one connection (OpenVPN's struct connection_entry). */
interface Connection {
  readonly host: string | undefined;
  readonly port: string;
  readonly proto: string;
  readonly httpProxy?: Proxy;
  readonly socksProxy?: Proxy;
}

function transportOf(proto: string): Transport {
  return proto.startsWith('tcp') ? 'tcp' : 'udp';
}

/** Returns the family that `udp4`, `tcp6-client` and the like name. */
export function familyOf(proto: string): Pick<Remote, 'family'> {
  const [, digit] = /^(?:udp|tcp)([46])/.exec(proto) ?? [];
  if (digit === undefined) return {};
  return { family: digit === '4' ? 'ipv4' : 'ipv6' };
}

function remoteOf({ host, port, proto, httpProxy, socksProxy }: Connection): readonly Remote[] {
  if (host === undefined) return [];
  const proxy = httpProxy ?? socksProxy;
  // The family applies to the server alone: OpenVPN reaches a proxy by either.
  return [
    proxy === undefined
      ? { host, port, transport: transportOf(proto), ...familyOf(proto) }
      : { ...proxy, transport: 'tcp' },
  ];
}

/**
 * Applies `http-proxy-override`: keeps the TCP remotes alone, by that proxy, if there is one
 * (options.c, options_postprocess_http_proxy_override).
 */
function overridden(
  connections: readonly Connection[],
  override: Proxy | undefined,
): readonly Connection[] {
  const tcp = connections.filter(({ proto }) => transportOf(proto) === 'tcp');
  if (override === undefined || tcp.length === 0) return connections;
  return tcp.map((each) => ({ ...each, httpProxy: override }));
}

/**
 * Reads the options that say where OpenVPN connects to and which account it runs as. `remote HOST
 * [PORT] [PROTO]`; port 1194 and UDP by default. Precedence as in options.c: outside of blocks the
 * words of `remote` win over `port` and `proto`, wherever these stand. A `<connection>` block
 * starts with the options above it; inside, the last word wins. `proto-force` leaves out the
 * remotes of the other transport.
 */
export function readProfile(text: string): Profile {
  const remotes: {
    readonly host: string;
    readonly port: string | undefined;
    readonly proto: string | undefined;
  }[] = [];
  const blocks: Connection[] = [];
  let top: Connection = { host: undefined, port: '1194', proto: 'udp' };
  let block: Connection | undefined;
  let user: string | undefined;
  let forced: Transport | undefined;
  let override: Proxy | undefined;
  const set = (change: Partial<Connection>) => {
    if (block === undefined) top = { ...top, ...change };
    else block = { ...block, ...change };
  };
  for (const [name = '', first, second, third] of options(text)) {
    switch (name) {
      case '<connection>':
        block = top;
        break;
      case '</connection>':
        if (block !== undefined) blocks.push(block);
        block = undefined;
        break;
      case 'remote':
        if (first === undefined) break;
        if (block === undefined) remotes.push({ host: first, port: second, proto: third });
        else
          block = {
            ...block,
            host: first,
            port: second ?? block.port,
            proto: third ?? block.proto,
          };
        break;
      case 'port':
      case 'rport':
        if (first !== undefined) set({ port: first });
        break;
      case 'proto':
        if (first !== undefined) set({ proto: first });
        break;
      case 'proto-force':
        if (first !== undefined && block === undefined) forced = transportOf(first);
        break;
      case 'http-proxy':
        if (first !== undefined && second !== undefined)
          set({ httpProxy: { host: first, port: second } });
        break;
      case 'http-proxy-override':
        if (first !== undefined && second !== undefined && block === undefined)
          override = { host: first, port: second };
        break;
      case 'socks-proxy':
        if (first !== undefined) set({ socksProxy: { host: first, port: second ?? '1080' } });
        break;
      case 'user':
        if (block === undefined) user = first;
        break;
      default:
        break;
    }
  }
  // With <connection> blocks OpenVPN takes its remotes from them alone (options.c,
  // options_postprocess_mutate).
  const connections =
    blocks.length > 0
      ? blocks
      : remotes.map(({ host, port, proto }) => ({
          ...top,
          host,
          port: port ?? top.port,
          proto: proto ?? top.proto,
        }));
  const usable = connections.filter(
    ({ proto }) => forced === undefined || transportOf(proto) === forced,
  );
  return { remotes: overridden(usable, override).flatMap(remoteOf), user };
}

/**
 * Returns the endpoint of a remote that is a literal address of its required family. An IPv4
 * address written as IPv6 leaves as IPv4.
 */
function literalEndpoint({
  host,
  port: portText,
  transport,
  family,
}: Remote): Endpoint | undefined {
  const [address, port] = [writtenAddress(host), writtenPort(portText)];
  if (address === undefined || port === undefined) return undefined;
  const asIpv4 = address.family === 'ipv4' && host.includes(':');
  if (family !== undefined && address.family !== family && !asIpv4) return undefined;
  return parseEndpoint(
    `${address.family === 'ipv6' ? `[${address.text}]` : address.text}:${port}/${transport}`,
  );
}

/**
 * Returns the endpoints of remotes that are literal addresses; `unreachedRemotes` lists the others.
 */
export function literalEndpoints(profile: Profile): readonly Endpoint[] {
  return distinctEndpoints(profile.remotes.flatMap((remote) => literalEndpoint(remote) ?? []));
}

/** Returns the name and port of a remote that is a host's name; undefined for any other. */
export function remoteName({
  host,
  port: portText,
}: Remote): { readonly name: HostName; readonly port: Port } | undefined {
  const [name, port] = [parseHostName(host), writtenPort(portText)];
  return name === undefined || port === undefined || writtenAddress(host) !== undefined
    ? undefined
    : { name, port };
}

/** A remote that the rules let no packet reach, and why. */
export interface UnreachedRemote {
  readonly remote: Remote;
  readonly why: string;
}

function unreachedWhy(remote: Remote): string | undefined {
  if (literalEndpoint(remote) !== undefined || remoteName(remote) !== undefined) return undefined;
  const address = writtenAddress(remote.host);
  if (writtenPort(remote.port) === undefined)
    return 'its port is no number from 1 to 65535 and no service that is known here';
  if (address === undefined)
    return 'it is neither a name that can be asked for nor an address that can stand in a rule';
  if (remote.family !== undefined && remote.family !== address.family)
    return `it is ${address.family}, and its transport takes ${remote.family} alone`;
  return isUnicast(address)
    ? 'it cannot stand in a rule'
    : 'it is no address of another machine; where it leads to a program on this one, name the far end of that in KILLSWITCH_ENDPOINTS';
}

/**
 * Lists the remotes of a profile that give neither an endpoint nor a name: OpenVPN cannot reach
 * them while the machine is locked.
 */
export function unreachedRemotes({ remotes }: Profile): readonly UnreachedRemote[] {
  return remotes.flatMap((remote) => {
    const why = unreachedWhy(remote);
    return why === undefined ? [] : [{ remote, why }];
  });
}

/** Describes, in one line, a remote that OpenVPN cannot reach while the machine is locked. */
export function unreachedText(
  path: string,
  { remote: { host, port, transport }, why }: UnreachedRemote,
): string {
  return `${printable(path)}: the server ${printable(host)} port ${printable(port)} (${transport}) is not allowed: ${why}`;
}
