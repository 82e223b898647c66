import { type Address, isUnicast, parseAddress } from '../net/address.ts';
import { type Endpoint, parseEndpoint } from '../net/endpoint.ts';
import { type Interfaces, parseInterfaces } from '../net/interface-pattern.ts';
import { contains, type Network, networkOf, parseNetwork } from '../net/network.ts';
import { type PortRange, parseService, type Service, type Transport } from '../net/port.ts';
import { PRIVATE_NETWORKS } from '../net/well-known.ts';

export type BackendName = 'iptables' | 'nftables';
export type Refuse = 'drop' | 'reject';

/** The owner whose packets may go to an endpoint, as the settings name it. */
export type OwnerSetting =
  | { readonly kind: 'auto' | 'root' | 'any' }
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'mark'; readonly mark: number };

/** One entry of a LAN list: a network, or one service of it. */
export interface LanEntry {
  readonly network: Network;
  readonly service: { readonly ports: PortRange; readonly transport: Transport } | undefined;
}
export type LanSetting =
  | { readonly kind: 'off' | 'private' }
  | { readonly kind: 'list'; readonly entries: readonly LanEntry[] };

/** At most `count` lines per `unit` in the kernel's log. */
export interface LogLimit {
  readonly count: number;
  readonly unit: 'second' | 'minute' | 'hour';
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Settings {
  readonly backend: 'auto' | BackendName;
  /** Absolute paths whose last part may hold `*` and `?`. */
  readonly profiles: readonly string[];
  readonly endpoints: readonly Endpoint[];
  readonly endpointOwner: OwnerSetting;
  readonly lan: LanSetting;
  readonly lanInbound: readonly Service[];
  readonly lanDns: readonly Address[];
  /** undefined: every port. */
  readonly tunnelPorts: readonly Service[] | undefined;
  readonly tunnelInbound: readonly Service[];
  /** undefined: the pushed ones. */
  readonly dns: readonly Address[] | undefined;
  readonly resolver: 'auto' | 'resolved' | 'resolvconf' | 'file' | 'off';
  readonly ipv6: 'tunnel' | 'block';
  readonly forward: readonly Interfaces[];
  readonly refuse: Refuse;
  /** undefined: nothing is logged. */
  readonly logDrops: LogLimit | undefined;
  readonly logLevel: LogLevel;
}

/** One thing wrong with the settings. `line` is 1-based. */
export interface Issue {
  readonly line: number;
  readonly key: string;
  readonly problem: string;
}

/** A key's parser: undefined means that the value is not allowed. */
interface Key<Value> {
  readonly allowed: string;
  readonly initial: string;
  readonly parse: (text: string) => Value | undefined;
}

function list<Item>(
  text: string,
  parse: (item: string) => Item | undefined,
): readonly Item[] | undefined {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .map(parse);
  const known = items.filter((item) => item !== undefined);
  return known.length === items.length ? known : undefined;
}

function oneOf<const Word extends string>(
  ...allowed: readonly Word[]
): (text: string) => Word | undefined {
  return (text) => allowed.find((word) => word === text);
}

function hostAddress(text: string): Address | undefined {
  const address = parseAddress(text);
  return address !== undefined && isUnicast(address) ? address : undefined;
}

function lanAddress(text: string): Address | undefined {
  const address = hostAddress(text);
  if (address === undefined) return undefined;
  return PRIVATE_NETWORKS.some((network) => contains(network, networkOf(address)))
    ? address
    : undefined;
}

function lanEntry(text: string): LanEntry | undefined {
  const [, head = '', ports, transport = ''] =
    /^(.*?)(?::(\d+(?:-\d+)?)\/(tcp|udp))?$/.exec(text) ?? [];
  const network = parseNetwork(head.replace(/^\[(.*)\]$/, '$1'));
  if (network === undefined || network.prefix < 8) return undefined;
  if (ports === undefined) return { network, service: undefined };
  // Drop a service that does not parse: it must not stand for the whole network.
  const service = parseService(`${ports}/${transport}`);
  return service === undefined ? undefined : { network, service };
}

function lan(text: string): LanSetting | undefined {
  if (text === 'off' || text === 'private') return { kind: text };
  const entries = list(text, lanEntry);
  return entries === undefined || entries.length === 0 ? undefined : { kind: 'list', entries };
}

function owner(text: string): OwnerSetting | undefined {
  if (text === 'auto' || text === 'root' || text === 'any') return { kind: text };
  const [, name] = /^user:([A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?)$/.exec(text) ?? [];
  if (name !== undefined) return { kind: 'user', name };
  const [, hex] = /^mark:0x([0-9a-fA-F]{1,8})$/.exec(text) ?? [];
  const mark = Number.parseInt(hex ?? '0', 16);
  return mark > 0 ? { kind: 'mark', mark } : undefined;
}

function logLimit(text: string): { readonly limit: LogLimit | undefined } | undefined {
  if (text === 'off') return { limit: undefined };
  const [, count, unit] = /^([1-9]\d{0,3})\/(second|minute|hour)$/.exec(text) ?? [];
  if (unit !== 'second' && unit !== 'minute' && unit !== 'hour') return undefined;
  return { limit: { count: Number(count), unit } };
}

function key<Value>(
  initial: string,
  allowed: string,
  parse: (text: string) => Value | undefined,
): Key<Value> {
  return { initial, allowed, parse };
}

const absolutePattern = (text: string) =>
  /^\/[^*?]*\/[^/]+\.(conf|ovpn|\*)$/.test(text) && !text.includes('..') ? text : undefined;

/**
 * Lists every key of `/etc/ovpn-killswitch/killswitch.env`: its default, the allowed values and its
 * parser.
 */
export const KEYS = {
  KILLSWITCH_BACKEND: key(
    'auto',
    'auto, iptables or nftables',
    oneOf('auto', 'iptables', 'nftables'),
  ),
  KILLSWITCH_PROFILES: key(
    '/etc/openvpn/client/*.conf,/etc/openvpn/*.conf',
    'absolute paths of .conf or .ovpn files, * and ? in the last part, separated by commas',
    (text) => list(text, absolutePattern),
  ),
  KILLSWITCH_ENDPOINTS: key(
    '',
    'ADDRESS:PORT/udp or [ADDRESS]:PORT/tcp, separated by commas',
    (text) => list(text, parseEndpoint),
  ),
  KILLSWITCH_ENDPOINT_OWNER: key('auto', 'auto, root, any, user:NAME or mark:0xHEX', owner),
  KILLSWITCH_LAN: key(
    'private',
    'off, private, or networks (/8 or longer) such as 192.168.1.0/24,192.168.2.5:8080/tcp',
    lan,
  ),
  KILLSWITCH_LAN_INBOUND: key('', 'PORT/tcp or PORT/udp, separated by commas', (text) =>
    list(text, parseService),
  ),
  KILLSWITCH_LAN_DNS: key('', 'private addresses of resolvers, separated by commas', (text) =>
    list(text, lanAddress),
  ),
  KILLSWITCH_TUNNEL_PORTS: key('all', 'all, or PORT/tcp, PORT/udp, separated by commas', (text) =>
    text === 'all' ? { ports: undefined } : wrapPorts(list(text, parseService)),
  ),
  KILLSWITCH_TUNNEL_INBOUND: key('', 'PORT/tcp or PORT/udp, separated by commas', (text) =>
    list(text, parseService),
  ),
  KILLSWITCH_DNS: key('pushed', 'pushed, or addresses of resolvers, separated by commas', (text) =>
    text === 'pushed' ? { addresses: undefined } : wrapAddresses(list(text, hostAddress)),
  ),
  KILLSWITCH_RESOLVER: key(
    'auto',
    'auto, resolved, resolvconf, file or off',
    oneOf('auto', 'resolved', 'resolvconf', 'file', 'off'),
  ),
  KILLSWITCH_IPV6: key('tunnel', 'tunnel or block', oneOf('tunnel', 'block')),
  KILLSWITCH_FORWARD: key(
    '',
    'names of interfaces, or patterns such as br-* (but none for lo, tun or tap), separated by commas',
    (text) => list(text, parseInterfaces),
  ),
  KILLSWITCH_REFUSE: key('drop', 'drop or reject', oneOf('drop', 'reject')),
  KILLSWITCH_LOG_DROPS: key('off', 'off, or COUNT/second, COUNT/minute, COUNT/hour', logLimit),
  KILLSWITCH_LOG_LEVEL: key('info', LOG_LEVELS.join(', '), oneOf(...LOG_LEVELS)),
} as const;
export type SettingsKey = keyof typeof KEYS;

function wrapPorts(
  ports: readonly Service[] | undefined,
): { readonly ports: readonly Service[] } | undefined {
  return ports === undefined || ports.length === 0 ? undefined : { ports };
}

function wrapAddresses(
  addresses: readonly Address[] | undefined,
): { readonly addresses: readonly Address[] } | undefined {
  return addresses === undefined || addresses.length === 0 ? undefined : { addresses };
}

/**
 * The keys and values of a settings file, and the line of each. A line that is neither has no key.
 */
export interface SettingsText {
  readonly values: Readonly<Record<string, string>>;
  readonly lines: readonly { readonly line: number; readonly key: string | undefined }[];
}

const isKey = (name: string): name is SettingsKey => Object.hasOwn(KEYS, name);

/**
 * Parses the text of a settings file. Returns the settings, or every problem at once. An empty
 * value means the default.
 */
export function readSettings({
  values,
  lines,
}: SettingsText): { readonly settings: Settings } | { readonly issues: readonly Issue[] } {
  const issues: Issue[] = [];
  const first = new Map<string, number>();
  for (const { line, key: name } of lines) {
    if (name === undefined) issues.push({ line, key: '', problem: 'is not KEY=value' });
    else if (!isKey(name))
      issues.push({
        line,
        key: name,
        problem: `is not a key; the keys are ${Object.keys(KEYS).join(', ')}`,
      });
    else if (first.has(name))
      issues.push({ line, key: name, problem: `stands on line ${first.get(name)} already` });
    else first.set(name, line);
  }
  const read = <Name extends SettingsKey>(
    name: Name,
  ): NonNullable<ReturnType<(typeof KEYS)[Name]['parse']>> => {
    const { initial, allowed, parse } = KEYS[name] as Key<
      NonNullable<ReturnType<(typeof KEYS)[Name]['parse']>>
    >;
    const text = values[name]?.trim() || initial;
    const value = parse(text) ?? parse(initial);
    if (parse(text) === undefined)
      issues.push({
        line: first.get(name) ?? 0,
        key: name,
        problem: `is "${text}"; allowed: ${allowed}`,
      });
    if (value === undefined) throw new TypeError(`the default of ${name} does not parse`);
    return value;
  };
  const settings: Settings = {
    backend: read('KILLSWITCH_BACKEND'),
    profiles: read('KILLSWITCH_PROFILES'),
    endpoints: read('KILLSWITCH_ENDPOINTS'),
    endpointOwner: read('KILLSWITCH_ENDPOINT_OWNER'),
    lan: read('KILLSWITCH_LAN'),
    lanInbound: read('KILLSWITCH_LAN_INBOUND'),
    lanDns: read('KILLSWITCH_LAN_DNS'),
    tunnelPorts: read('KILLSWITCH_TUNNEL_PORTS').ports,
    tunnelInbound: read('KILLSWITCH_TUNNEL_INBOUND'),
    dns: read('KILLSWITCH_DNS').addresses,
    resolver: read('KILLSWITCH_RESOLVER'),
    ipv6: read('KILLSWITCH_IPV6'),
    forward: read('KILLSWITCH_FORWARD'),
    refuse: read('KILLSWITCH_REFUSE'),
    logDrops: read('KILLSWITCH_LOG_DROPS').limit,
    logLevel: read('KILLSWITCH_LOG_LEVEL'),
  };
  if (settings.lan.kind === 'off' && settings.lanInbound.length > 0)
    issues.push({
      line: first.get('KILLSWITCH_LAN_INBOUND') ?? 0,
      key: 'KILLSWITCH_LAN_INBOUND',
      problem: 'opens ports to the LAN while KILLSWITCH_LAN is off',
    });
  return issues.length > 0 ? { issues: issues.sort((a, b) => a.line - b.line) } : { settings };
}

/** Returns the settings of a machine without a settings file. */
export function defaultSettings(): Settings {
  const read = readSettings({ values: {}, lines: [] });
  if ('issues' in read) throw new TypeError('the defaults do not parse');
  return read.settings;
}
