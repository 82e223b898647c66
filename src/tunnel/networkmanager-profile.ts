import { parseAddress } from '../net/address.ts';
import { type Keyfile, readKeyfile } from './keyfile.ts';
import { type ConnectionUuid, parseConnectionUuid } from './networkmanager-event.ts';
import { familyOf, type Profile, type Remote } from './profile.ts';

/** The D-Bus name of NetworkManager's OpenVPN plugin. */
const OPENVPN_SERVICE = 'org.freedesktop.NetworkManager.openvpn';
/** The account as which the plugin runs OpenVPN (nm-openvpn-service.c, NM_OPENVPN_USER). */
const ACCOUNT = 'nm-openvpn';
/** The plugin's default port (nm-openvpn-service.c). */
const DEFAULT_PORT = '1194';

/** A VPN connection that NetworkManager keeps. */
export interface VpnConnection {
  readonly uuid: ConnectionUuid;
  /** Its name for people: free text. */
  readonly name: string;
  /** The servers it connects to; undefined when another plugin than OpenVPN's runs it. */
  readonly profile: Profile | undefined;
}

interface RemoteText {
  readonly host: string;
  readonly port: string;
  readonly proto: string;
}

const isIpv6 = (text: string) => parseAddress(text)?.family === 'ipv6';
/** Takes the brackets off an IPv6 address. */
const bare = (host: string) =>
  host.replace(/^\[(.*)\]$/, (all, inner: string) => (isIpv6(inner) ? inner : all));

/** Splits a text at its last colon; undefined when that colon is part of an IPv6 address. */
function split(text: string): readonly [head: string, tail: string] | undefined {
  const at = text.lastIndexOf(':');
  return at < 0 || isIpv6(bare(text)) ? undefined : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * Parses `HOST[:PORT[:PROTO]]`; an empty part counts as missing (shared/utils.c,
 * nmovpn_remote_parse).
 */
function remoteText(text: string): RemoteText {
  const last = split(text);
  if (last === undefined) return { host: bare(text), port: '', proto: '' };
  const first = split(last[0]);
  return first === undefined
    ? { host: bare(last[0]), port: last[1], proto: '' }
    : { host: bare(first[0]), port: first[1], proto: last[1] };
}

/**
 * Reads the remotes of a connection's `vpn.data` (shared/nm-service-defines.h); with a proxy, the
 * proxy.
 */
function remotesOf(data: ReadonlyMap<string, string>): readonly Remote[] {
  const value = (key: string) => data.get(key) || undefined;
  const proxy = value('proxy-type') === undefined ? undefined : value('proxy-server');
  const proxyPort = value('proxy-port') ?? (value('proxy-type') === 'socks' ? '1080' : '8080');
  const texts = (value('remote') ?? '').split(/[ \t,]+/).filter((text) => text !== '');
  return texts.flatMap((text): readonly Remote[] => {
    const { host, port, proto } = remoteText(text);
    if (host === '' || !/^((udp|tcp)[46]?|tcp[46]?-client)?$/.test(proto)) return [];
    const family = familyOf(proto);
    if (proxy !== undefined) return [{ host: proxy, port: proxyPort, transport: 'tcp', ...family }];
    const tcp = proto === '' ? value('proto-tcp') === 'yes' : proto.startsWith('tcp');
    return [
      {
        host,
        port: port || (value('port') ?? DEFAULT_PORT),
        transport: tcp ? 'tcp' : 'udp',
        ...family,
      },
    ];
  });
}

function profileOf(keyfile: Keyfile): Profile | undefined {
  const data = keyfile.get('vpn');
  return data?.get('service-type') === OPENVPN_SERVICE
    ? { remotes: remotesOf(data), user: ACCOUNT }
    : undefined;
}

/**
 * Parses the VPN connection that a keyfile describes (nm-settings-keyfile(5)); undefined when it
 * describes another kind of connection.
 */
export function readVpnConnection(text: string): VpnConnection | undefined {
  const keyfile = readKeyfile(text);
  const connection = keyfile.get('connection');
  const uuid = parseConnectionUuid(connection?.get('uuid') ?? '');
  if (uuid === undefined || connection?.get('type') !== 'vpn') return undefined;
  return { uuid, name: connection.get('id') ?? uuid, profile: profileOf(keyfile) };
}
