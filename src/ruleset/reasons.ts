import type { SettingsKey } from '../policy/settings.ts';
import type { RuleId } from './ruleset.ts';

/** A rule's reason, as in docs/reference/rules.md, and the settings that change it. */
export interface Reason {
  readonly why: string;
  readonly settings: readonly SettingsKey[];
}

export const REASONS: Readonly<Record<RuleId, Reason>> = {
  loopback: {
    why: 'programs break without it, and nothing on it leaves the machine. A local resolver that passes a question on is judged when that packet leaves.',
    settings: [],
  },
  'tunnel-address': {
    why: 'somebody on the LAN could otherwise find out that address, and guess and break into connections inside the tunnel.',
    settings: [],
  },
  established: {
    why: 'answers must come back, and path MTU discovery (RFC 1191, RFC 8201) needs the errors. On the way out an open connection counts for nothing: what was open before the lock must not go on in clear. Exceptions are answers of services that the settings open (tunnel-inbound, lan-inbound), and ssh-session.',
    settings: [],
  },
  endpoint: {
    why: "without it no tunnel could be made. Anybody else's packets to the same address and port are dropped, so that nobody can be led past the tunnel by a name that resolves to the VPN server.",
    settings: [
      'KILLSWITCH_ENDPOINTS',
      'KILLSWITCH_PROFILES',
      'KILLSWITCH_ENDPOINT_OWNER',
      'KILLSWITCH_IPV6',
    ],
  },
  dhcp: {
    why: 'without an address there is no network (RFC 2131, RFC 8415). A DHCP server can set routes, but no route makes a packet pass that the rules below drop.',
    settings: ['KILLSWITCH_IPV6'],
  },
  neighbours: {
    why: 'a link carries no IPv6 without them (RFC 4861, RFC 2710, RFC 3810). Routers do not forward them (RFC 4861 7.1.1: hop limit 255).',
    settings: ['KILLSWITCH_IPV6'],
  },
  bridged: {
    why: 'this machine neither routes nor sends such a frame: without br_netfilter no IP rule sees it at all. Containers of one network and guests on one bridge talk to each other.',
    settings: [],
  },
  'tunnel-source': {
    why: "the tunnel's own address belongs to what goes through the tunnel. Elsewhere it gives away who you are there, and lets a server pass for a host of the LAN (CVE-2019-14899, from its side).",
    settings: [],
  },
  fragments: {
    why: 'the answer "fragment reassembly time exceeded" (RFC 792, RFC 4443 3.3) shows a scanner which addresses this machine has, the one inside the tunnel among them.',
    settings: [],
  },
  tunnel: {
    why: "this is what the VPN is for. A device counts only while up, or NetworkManager's dispatcher, has reported it.",
    settings: ['KILLSWITCH_TUNNEL_PORTS'],
  },
  'no-ipv6': {
    why: 'such packets go nowhere, and a program that waits for them is slow. That IPv6 cannot go around the tunnel is the work of the rule rest.',
    settings: ['KILLSWITCH_IPV6'],
  },
  'tunnel-dns': {
    why: "names must resolve, and you chose the tunnel's resolvers with the VPN. The system is set to ask them. One that lies on the LAN, or is the provider's, may be asked through the tunnel alone.",
    settings: ['KILLSWITCH_DNS'],
  },
  'lan-dns': {
    why: 'some need a resolver of their own at home. Its operator learns the names.',
    settings: ['KILLSWITCH_LAN_DNS'],
  },
  portal: {
    why: 'a captive portal must be seen before the VPN can connect, and everybody else on this machine need not be let out for it. The kernel itself ends it at its time.',
    settings: [],
  },
  'other-dns': {
    why: "the LAN's router or the provider would learn every name you ask for (RFC 1035, RFC 7858, RFC 9250, RFC 4795). DNS over HTTPS looks like the web and goes through the tunnel like it.",
    settings: ['KILLSWITCH_DNS', 'KILLSWITCH_LAN_DNS'],
  },
  'tunnel-inbound': {
    why: "a VPN must not show this machine's services to its other customers; port forwarding needs some.",
    settings: ['KILLSWITCH_TUNNEL_INBOUND'],
  },
  forward: {
    why: 'containers and guests would otherwise leak while the machine itself does not.',
    settings: ['KILLSWITCH_FORWARD'],
  },
  'ssh-session': {
    why: 'an admin who locks a machine over SSH would otherwise be cut off. Only packets of that very connection pass: both addresses and both ports.',
    settings: [],
  },
  'endpoint-others': {
    why: 'an endpoint with a private address must not become a way around the tunnel.',
    settings: ['KILLSWITCH_ENDPOINTS', 'KILLSWITCH_LAN'],
  },
  'tunnel-networks': {
    why: 'a LAN or a DHCP server can claim the same addresses and so receive what was meant for the tunnel.',
    settings: ['KILLSWITCH_LAN'],
  },
  'lan-discovery': {
    why: 'printers, television sets and shared folders are found by a question to many, and each answer comes from an address that was not asked. Only the port that asked is open, and only for hosts of the LAN.',
    settings: ['KILLSWITCH_LAN', 'KILLSWITCH_BACKEND'],
  },
  lan: {
    why: 'printers and file servers. Only the address counts, never what the LAN says of itself: a LAN that uses public addresses is not reached.',
    settings: ['KILLSWITCH_LAN'],
  },
  'lan-inbound': {
    why: 'a host that this machine may reach need not reach back.',
    settings: ['KILLSWITCH_LAN_INBOUND', 'KILLSWITCH_LAN'],
  },
  rest: {
    why: 'this is the kill switch. Whatever routes say, a packet that no rule above accepted does not leave.',
    settings: ['KILLSWITCH_REFUSE', 'KILLSWITCH_LOG_DROPS'],
  },
};
