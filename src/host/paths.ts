/**
 * Set by the build (`node build.mjs --prefix`). Code that runs from its source is an installation
 * from source.
 */
declare const KILLSWITCH_PREFIX: Prefix | undefined;

/** Where programs lie: of packages, and of what a machine's owner installs (hier(7)). */
export type Prefix = '/usr' | '/usr/local';

/** Where this copy belongs: `/usr` in a package, `/usr/local` from source. */
export const PREFIX: Prefix =
  typeof KILLSWITCH_PREFIX === 'undefined' ? '/usr/local' : KILLSWITCH_PREFIX;

/**
 * All paths are fixed: a .ovpn file may set environment variables, and none of them may move a file
 * of ours.
 */
export const PATHS = {
  settings: '/etc/ovpn-killswitch/killswitch.env',
  /** What must survive a reboot. */
  state: '/var/lib/ovpn-killswitch',
  /** What must not. */
  runtime: '/run/ovpn-killswitch',
  tunnels: '/run/ovpn-killswitch/tunnels',
  /** Tunnels that reconnect or have ended. */
  former: '/run/ovpn-killswitch/former',
  /** The networks of the last connection of each attached profile. */
  networks: '/var/lib/ovpn-killswitch/networks',
  /** What a lock on trial keeps in place of the same files in `state`: a reboot ends it. */
  trial: '/run/ovpn-killswitch/trial',
  /**
   * Tunnels of NetworkManager's connections from `vpn-up` to `vpn-down`, live or not; the
   * dispatcher script looks here too.
   */
  connections: '/run/ovpn-killswitch/networkmanager',
  /** How the last transaction left the rules. */
  last: '/run/ovpn-killswitch/last-transaction',
  /** What the last `up` was told, and the record of the last transaction as it was then. */
  told: '/run/ovpn-killswitch/told',
  lock: '/run/ovpn-killswitch/lock',
  /** The process that watches: it holds while that process lives. */
  watch: '/run/ovpn-killswitch/watch',
  log: '/var/log/ovpn-killswitch.log',
  library: `${PREFIX}/lib/ovpn-killswitch`,
  command: `${PREFIX}/sbin/ovpn-killswitch`,
  /**
   * The script that NetworkManager's dispatcher runs; under the same name also in pre-up.d and
   * pre-down.d.
   */
  dispatcher: '/etc/NetworkManager/dispatcher.d/00-ovpn-killswitch',
  /** The folder that this process runs in: of a hook, OpenVPN's (proc(5)). */
  workingFolder: '/proc/self/cwd',
  passwd: '/etc/passwd',
  hosts: '/etc/hosts',
  resolvConf: '/etc/resolv.conf',
  /** Held by a hook that starts a refresh, and by the refresh itself. */
  refreshLock: '/run/ovpn-killswitch/refresh.lock',
  /**
   * Exists where the kernel has IPv6: absent without the module and with ipv6.disable=1
   * (net/ipv6/af_inet6.c).
   */
  ipv6: '/proc/sys/net/ipv6',
  devices: '/proc/net/dev',
  /** Exists where systemd runs the machine (sd_booted(3)). */
  systemd: '/run/systemd/system',
} as const;

/** Where programs are looked for: OpenVPN passes no PATH. */
export const PROGRAM_FOLDERS: readonly string[] = [
  '/usr/sbin',
  '/sbin',
  '/usr/bin',
  '/bin',
  '/usr/local/sbin',
  '/usr/local/bin',
];
