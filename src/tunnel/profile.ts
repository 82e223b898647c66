import { type Family, parseAddress } from '../net/address.ts';
import { distinctEndpoints, type Endpoint, parseEndpoint } from '../net/endpoint.ts';
import { parsePort, type Transport } from '../net/port.ts';
import { options } from './profile-options.ts';

/** One place a profile may connect to: with a proxy, the proxy. `host` is as written: an address or a name. */
export interface Remote {
  readonly host: string;
  readonly port: string;
  readonly transport: Transport;
  /** The only family whose addresses OpenVPN takes for it (`udp4`, `tcp6`, …); without it either. */
  readonly family?: Family;
}

/** What the kill switch needs to know of a profile (.ovpn, .conf). */
export interface Profile {
  readonly remotes: readonly Remote[];
  /** The account OpenVPN changes to after it has started: `user`. */
  readonly user: string | undefined;
}

interface Proxy {
  readonly host: string;
  readonly port: string;
}

/** What applies to a connection (OpenVPN's struct connection_entry). */
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

/** The family that `udp4`, `tcp6-client` and the like name. */
export function familyOf(proto: string): Pick<Remote, 'family'> {
  const [, digit] = /^(?:udp|tcp)([46])/.exec(proto) ?? [];
  if (digit === undefined) return {};
  return { family: digit === '4' ? 'ipv4' : 'ipv6' };
}

function remoteOf({ host, port, proto, httpProxy, socksProxy }: Connection): readonly Remote[] {
  if (host === undefined) return [];
  const proxy = httpProxy ?? socksProxy;
  const family = familyOf(proto);
  return [proxy === undefined ? { host, port, transport: transportOf(proto), ...family } : { ...proxy, transport: 'tcp', ...family }];
}

/**
 * Reads the options that say where OpenVPN connects to and as whom it runs. `remote HOST [PORT] [PROTO]`; port 1194 and UDP by default.
 * Precedence as in options.c: outside of blocks the words of `remote` win over `port` and `proto`, wherever these stand; a `<connection>`
 * block starts with what stood above it, and in it the last word wins. `proto-force` leaves out the remotes of the other transport.
 */
export function readProfile(text: string): Profile {
  const remotes: { readonly host: string; readonly port: string | undefined; readonly proto: string | undefined }[] = [];
  const blocks: Connection[] = [];
  let top: Connection = { host: undefined, port: '1194', proto: 'udp' };
  let block: Connection | undefined;
  let user: string | undefined;
  let forced: Transport | undefined;
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
        else block = { ...block, host: first, port: second ?? block.port, proto: third ?? block.proto };
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
        if (first !== undefined && second !== undefined) set({ httpProxy: { host: first, port: second } });
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
  // With <connection> blocks OpenVPN takes its remotes from them alone (options.c, options_postprocess_mutate).
  const connections =
    blocks.length > 0
      ? blocks
      : remotes.map(({ host, port, proto }) => ({ ...top, host, port: port ?? top.port, proto: proto ?? top.proto }));
  const usable = connections.filter(({ proto }) => forced === undefined || transportOf(proto) === forced);
  return { remotes: usable.flatMap(remoteOf), user };
}

/** The endpoints of remotes that are literal addresses; names, ports that do not parse and addresses of another family are left out. */
export function literalEndpoints(profile: Profile): readonly Endpoint[] {
  return distinctEndpoints(
    profile.remotes.flatMap(({ host, port, transport, family }) => {
      const address = parseAddress(host);
      if (address === undefined || parsePort(port) === undefined) return [];
      if (family !== undefined && address.family !== family) return [];
      const text = address.family === 'ipv6' ? `[${host}]:${port}/${transport}` : `${host}:${port}/${transport}`;
      return parseEndpoint(text) ?? [];
    }),
  );
}
