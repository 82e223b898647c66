import { type Address, isUnicast, parseAddress } from '../net/address.ts';
import { type InterfaceName, parseInterfaceName } from '../net/interface-name.ts';
import { disjoint, type Network, parseNetmask, parseNetwork } from '../net/network.ts';
import { parsePort, type Transport } from '../net/port.ts';
import { printable } from '../net/printable.ts';
import type { HookEvent, HookName, Peer } from './hook-event.ts';
import { numberedVariables } from './numbered-variables.ts';
import { pushedResolvers } from './pushed-resolvers.ts';
import type { Refusal, Refuse } from './tunnel.ts';

/** The input that OpenVPN gives a hook: its arguments after `$0`, and its environment. */
export interface HookInput {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * A shorter pushed route stands for the default route (`0.0.0.0/1`, `::/3`, `fc00::/7`: OpenVPN's
 * redirect-gateway, route.c). It says nothing about which networks belong to the tunnel.
 */
const SHORTEST_NETWORK = 8;

/**
 * The reasons for which OpenVPN always ends, as `down` has them in `signal`: all of them raise
 * SIGTERM or SIGINT (sig.c, forward.c, ping.c, push.c). The many others restart it, or may, like
 * `auth-failure` with auth-retry; there the end of the process tells.
 */
const ENDINGS: ReadonlySet<string> = new Set([
  'sigterm',
  'sigint',
  'exit-with-notification',
  'inactive',
  'session-timeout',
  'ping-exit',
  'server-pushed-halt',
]);

/**
 * Reads the device from `dev`, set in up, route-up and down (options.c). The arguments name it too,
 * and both must agree.
 */
function deviceOf(
  { argv, env }: HookInput,
  hook: HookName,
): { readonly device: InterfaceName } | { readonly why: string } {
  const named = env['dev'];
  const argument = hook === 'route-up' ? undefined : argv[0];
  const text = named ?? argument;
  if (text === undefined || text === '')
    return { why: 'neither the variable "dev" nor the first argument names a device' };
  if (named !== undefined && argument !== undefined && named !== argument)
    return { why: `dev=${printable(named)} but the first argument is ${printable(argument)}` };
  const device = parseInterfaceName(text);
  return device === undefined
    ? { why: `"${printable(text)}" is not an interface name that a rule can match` }
    : { device };
}

function transportOf(proto: string): Transport | undefined {
  if (/^udp[46]?$/.test(proto)) return 'udp';
  return /^tcp[46]?(-client)?$/.test(proto) ? 'tcp' : undefined;
}

/**
 * Reads the peer. `trusted_ip`, `trusted_ip6` and `trusted_port` come from the socket (socket.c).
 * With a static key they are missing, and the only remote tells.
 * No variable holds the transport in use. It is known when every entry on this port has the same
 * one. Since OpenVPN 2.7 it never is: there `proto_1` belongs to the local address and stays "udp"
 * for `remote HOST 443 tcp` (options.c, setenv_local_entry). 2.7 always sets `local_port_1`; an
 * older client sets it only without `nobind`.
 */
function peerOf(env: HookInput['env'], refuse: Refuse): Peer | undefined {
  const protoIsLocal = env['local_port_1'] !== undefined;
  const remotes = [...numberedVariables(env, 'remote_')].map(([n, host]) => ({
    host,
    port: env[`remote_port_${n}`] ?? '',
    proto: protoIsLocal ? undefined : env[`proto_${n}`],
  }));
  const trusted = env['trusted_ip'] ?? env['trusted_ip6'];
  const only = remotes.length === 1 ? remotes[0] : undefined;
  const hostText = trusted ?? only?.host;
  if (hostText === undefined) return undefined;
  const portText = trusted === undefined ? (only?.port ?? '') : (env['trusted_port'] ?? '');
  const address = parseAddress(hostText);
  const port = parsePort(portText);
  if (address === undefined || !isUnicast(address) || port === undefined) {
    // A host name is no mistake: without `trusted_ip` it just tells nothing.
    if (trusted !== undefined)
      refuse('trusted_ip', `${hostText} ${portText}`, 'not the address and port of a host');
    return undefined;
  }
  const samePort = remotes.filter((remote) => remote.port === portText);
  const sameHost = samePort.filter((remote) => remote.host === hostText);
  const candidates = sameHost.length > 0 ? sameHost : samePort;
  const transports = candidates.map(({ proto }) =>
    proto === undefined ? undefined : transportOf(proto),
  );
  const known = transports.filter((transport) => transport !== undefined);
  return {
    address,
    port,
    transports: known.length === transports.length ? [...new Set(known)] : [],
  };
}

function addressesOf(env: HookInput['env'], refuse: Refuse): readonly Address[] {
  const addresses: Address[] = [];
  for (const [variable, family] of [
    ['ifconfig_local', 'ipv4'],
    ['ifconfig_ipv6_local', 'ipv6'],
  ] as const) {
    const value = env[variable];
    if (value === undefined) continue;
    const address = parseAddress(value);
    if (address?.family === family && isUnicast(address)) addresses.push(address);
    else refuse(variable, value, `not an ${family} address of a host`);
  }
  return addresses;
}

/**
 * Reads the networks of the tunnel's own addresses, and the routes into it. Leaves out routes
 * through the LAN's gateway.
 */
function networksOf(env: HookInput['env'], refuse: Refuse): readonly Network[] {
  const networks: Network[] = [];
  const add = (variable: string, value: string, network: Network | undefined) => {
    if (network === undefined) return refuse(variable, value, 'not a network');
    if (network.prefix >= SHORTEST_NETWORK) networks.push(network);
    return undefined;
  };
  const masked = (address: string, mask: string): Network | undefined => {
    const length = parseNetmask(mask);
    return length === undefined ? undefined : parseNetwork(`${address}/${length}`);
  };
  const { ifconfig_local: local, ifconfig_netmask: mask, ifconfig_remote: remote } = env;
  if (local !== undefined && mask !== undefined)
    add('ifconfig_netmask', `${local} ${mask}`, masked(local, mask));
  if (remote !== undefined) add('ifconfig_remote', remote, parseNetwork(remote));
  const { ifconfig_ipv6_local: local6, ifconfig_ipv6_netbits: bits6 } = env;
  if (local6 !== undefined && bits6 !== undefined)
    add('ifconfig_ipv6_netbits', `${local6}/${bits6}`, parseNetwork(`${local6}/${bits6}`));
  for (const [n, network] of numberedVariables(env, 'route_network_')) {
    if (
      env[`route_gateway_${n}`] !== undefined &&
      env[`route_gateway_${n}`] === env['route_net_gateway']
    )
      continue;
    const netmask = env[`route_netmask_${n}`] ?? '255.255.255.255';
    add(`route_network_${n}`, `${network} ${netmask}`, masked(network, netmask));
  }
  for (const [n, network] of numberedVariables(env, 'route_ipv6_network_')) {
    if (
      env[`route_ipv6_gateway_${n}`] !== undefined &&
      env[`route_ipv6_gateway_${n}`] === env['net_gateway_ipv6']
    )
      continue;
    add(`route_ipv6_network_${n}`, network, parseNetwork(network));
  }
  return disjoint(networks);
}

/**
 * Parses OpenVPN's arguments and environment as a HookEvent (openvpn(8), "Script and environmental
 * variables"). Trusts no value that the server can set: leaves out a value that does not parse, and
 * reports it in `refused`. Without a usable device the event is `unreadable`.
 */
export function readOpenvpnHook(hook: HookName, input: HookInput): HookEvent {
  const named = deviceOf(input, hook);
  if ('why' in named) return { kind: 'unreadable', why: named.why };
  const { device } = named;
  const { env } = input;
  const { daemon_pid: pid, config } = env;
  const daemon = pid !== undefined && /^[1-9]\d{0,9}$/.test(pid) ? Number(pid) : undefined;
  const kept = env['script_context'] === 'restart';
  if (hook === 'down') {
    if (kept) return { kind: 'tunnel-waiting', device };
    const reconnects = !ENDINGS.has(env['signal'] ?? '');
    return { kind: 'tunnel-down', device, reconnects, ...(daemon !== undefined && { daemon }) };
  }
  const refused: Refusal[] = [];
  const refuse: Refuse = (variable, value, why) => {
    refused.push({ variable, value: printable(value), why });
    return undefined;
  };
  return {
    kind: 'tunnel-up',
    tunnel: {
      device,
      addresses: addressesOf(env, refuse),
      ...pushedResolvers(env, refuse),
      networks: networksOf(env, refuse),
    },
    peer: peerOf(env, refuse),
    daemon,
    ...(config !== undefined && config !== '' && { config }),
    refused,
    kept,
  };
}
