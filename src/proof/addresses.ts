import { PATHS } from '../host/paths.ts';

/** The client's LAN. The router stands at .1 and ::1; `host` is another machine there. */
export const LAN = {
  networks: ['192.168.77.0/24', 'fd77::/64'],
  client4: '192.168.77.2',
  client6: 'fd77::2',
  clientGlobal6: '2001:db8:77::2',
  router4: '192.168.77.1',
  router6: 'fd77::1',
  routerGlobal6: '2001:db8:77::1',
  host4: '192.168.77.20',
  host6: 'fd77::20',
} as const;

/** Hosts beyond the router (RFC 5737, RFC 3849). */
export const INTERNET = {
  vpn4: '203.0.113.10',
  /** Another address of the VPN server; its own resolvers give this one for its name. */
  moved4: '203.0.113.11',
  vpn6: '2001:db8:ffff::10',
  resolver4: '203.0.113.53',
  resolver6: '2001:db8:ffff::53',
  web4: '203.0.113.80',
  web6: '2001:db8:ffff::80',
} as const;

/** The VPN server's name. */
export const VPN_NAME = 'vpn.test';

/** Inside the tunnel. */
export const VPN = {
  network4: '10.8.0.0',
  mask4: '255.255.255.0',
  network6: 'fd00:8::/64',
  resolver4: '10.8.0.1',
  resolver6: 'fd00:8::1',
} as const;

/** Inside the tunnel to another VPN server. */
export const OTHER_VPN = {
  network4: '10.9.0.0',
  mask4: '255.255.255.0',
  network6: 'fd00:9::/64',
  resolver4: '10.9.0.1',
  resolver6: 'fd00:9::1',
} as const;

export const PORTS = {
  dns: 53,
  encryptedDns: 853,
  web: 80,
  echo: 7,
  vpn: 1194,
  otherVpn: 1195,
} as const;

/** Interfaces: the client's uplink, the router's side of it, and the client's tunnel. */
export const UPLINK = 'up0';
export const ROUTER_SIDE = 'lan0';
export const DEVICE = 'tun0';

/** The folder of the proof's files inside the sandbox, whose /run is a tmpfs that ends with it. */
export const FOLDER = '/run/proof';
/** The built programs as the world's machines see them, wherever they lie. */
export const PROGRAMS = `${FOLDER}/programs`;
/**
 * The interpreter there: that of this process, which may be a copy beside the installed programs.
 */
export const NODE = process.execPath.replace(PATHS.library, PROGRAMS);
