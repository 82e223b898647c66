import { type Address, isUnicast, parseAddress } from '../net/address.ts';
import { type InterfaceName, parseInterfaceName } from '../net/interface-name.ts';
import { contains, disjoint, type Network, networkOf, parseNetwork } from '../net/network.ts';
import { printable } from '../net/printable.ts';
import { LINK_LOCAL_IPV6 } from '../net/well-known.ts';
import type { HookInput } from './from-openvpn.ts';
import {
  type ConnectionUuid,
  type NetworkManagerEvent,
  parseConnectionUuid,
} from './networkmanager-event.ts';
import { numberedVariables } from './numbered-variables.ts';
import type { Refusal, Tunnel } from './tunnel.ts';

/**
 * A shorter route stands for the default route and says nothing about which networks belong to the
 * tunnel.
 */
const SHORTEST_NETWORK = 8;

type Refuse = (variable: string, value: string, why: string) => void;

/**
 * Tells whether a network is link-local: every device has such an address by itself, so it says
 * nothing about where packets belong.
 */
function isLinkLocal(network: Network): boolean {
  return LINK_LOCAL_IPV6.some((each) => contains(each, network));
}

/**
 * Reads an address configuration (`VPN_IP4_…`, `IP6_…`); nm-dispatcher-utils.c, construct_ip_items.
 */
function configuration(
  env: HookInput['env'],
  prefix: string,
  device: InterfaceName,
  refuse: Refuse,
): Omit<Tunnel, 'endpoints'> {
  const addresses: Address[] = [];
  const resolvers = new Map<string, Address>();
  const networks: Network[] = [];
  for (const family of ['IP4', 'IP6']) {
    // `ADDRESS/LENGTH GATEWAY`
    const held = `${prefix}${family}_ADDRESS_`;
    for (const [n, value] of numberedVariables(env, held)) {
      const [place = ''] = value.split(' ');
      const [address, network] = [parseAddress(place.split('/')[0] ?? ''), parseNetwork(place)];
      if (address === undefined || network === undefined || !isUnicast(address))
        refuse(`${held}${n}`, value, 'not an address of a host');
      else if (!isLinkLocal(networkOf(address))) {
        addresses.push(address);
        if (network.prefix >= SHORTEST_NETWORK) networks.push(network);
      }
    }
    // `NETWORK/LENGTH NEXTHOP METRIC`
    const routed = `${prefix}${family}_ROUTE_`;
    for (const [n, value] of numberedVariables(env, routed)) {
      const network = parseNetwork(value.split(' ')[0] ?? '');
      if (network === undefined) refuse(`${routed}${n}`, value, 'not a network');
      else if (network.prefix >= SHORTEST_NETWORK && !isLinkLocal(network)) networks.push(network);
    }
    const servers = `${prefix}${family}_NAMESERVERS`;
    for (const value of (env[servers] ?? '').split(' ').filter((each) => each !== '')) {
      // `ADDRESS#NAME` where its certificate has that name (nm-settings(5), "dns").
      const address = parseAddress(value.split('#')[0] ?? '');
      if (address === undefined || !isUnicast(address))
        refuse(servers, value, 'not the address of another host');
      else resolvers.set(address.text, address);
    }
  }
  return { device, addresses, resolvers: [...resolvers.values()], networks: disjoint(networks) };
}

/**
 * Returns the VPN's own device. `vpn-down` after a crash names the uplink instead, and some VPNs
 * have no device.
 */
function vpnDevice({
  argv,
  env,
}: HookInput): { readonly device: InterfaceName } | { readonly why: string } {
  const named = env['VPN_IP_IFACE'];
  if (named === undefined || named === '') return { why: 'VPN_IP_IFACE names no device' };
  if (named !== argv[0])
    return {
      why: `VPN_IP_IFACE=${printable(named)} but the first argument is ${printable(argv[0] ?? '')}`,
    };
  if (named === env['DEVICE_IFACE'] || named === env['DEVICE_IP_IFACE'])
    return { why: `${printable(named)} is the VPN's uplink` };
  const device = parseInterfaceName(named);
  return device === undefined
    ? { why: `"${printable(named)}" is not an interface name that a rule can match` }
    : { device };
}

function vpnUp(input: HookInput, connection: ConnectionUuid): NetworkManagerEvent {
  const path = input.env['CONNECTION_FILENAME'];
  const file = path?.startsWith('/') === true ? path : undefined;
  const vpn = { connection, file, again: input.argv[1] === 'vpn-up' };
  const named = vpnDevice(input);
  if ('why' in named) return { kind: 'vpn-without-device', ...vpn, why: named.why };
  const { refused, refuse } = refusals();
  return {
    kind: 'vpn-up',
    ...vpn,
    tunnel: configuration(input.env, 'VPN_', named.device, refuse),
    refused,
  };
}

function refusals(): { readonly refused: readonly Refusal[]; readonly refuse: Refuse } {
  const refused: Refusal[] = [];
  return {
    refused,
    refuse: (variable, value, why) => void refused.push({ variable, value: printable(value), why }),
  };
}

/**
 * Parses a call of NetworkManager's dispatcher as an event (NetworkManager-dispatcher(8)). Ignores
 * the connection's name, which is free text. Keeps a value that the VPN's server can set only if it
 * parses, and reports the others in `refused`.
 */
export function readNetworkManagerCall(input: HookInput): NetworkManagerEvent {
  const { argv, env } = input;
  const [name = '', action = ''] = argv;
  switch (action) {
    case 'vpn-pre-up':
    case 'vpn-up':
    case 'vpn-pre-down':
    case 'vpn-down': {
      const connection = parseConnectionUuid(env['CONNECTION_UUID'] ?? '');
      if (connection === undefined)
        return { kind: 'unreadable', why: `${action} without CONNECTION_UUID` };
      return action === 'vpn-pre-up' || action === 'vpn-up'
        ? vpnUp(input, connection)
        : { kind: 'vpn-down', connection };
    }
    case 'up':
    case 'down': {
      const device = parseInterfaceName(name);
      // NetworkManager counts a VPN's device as external: its plugin made it.
      if (device === undefined || env['CONNECTION_EXTERNAL'] !== '1') return { kind: 'other' };
      if (action === 'down') return { kind: 'device-down', device };
      const { refused, refuse } = refusals();
      return { kind: 'device-up', tunnel: configuration(env, '', device, refuse), refused };
    }
    default:
      return { kind: 'other' };
  }
}
