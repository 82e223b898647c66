/**
 * Set by the build (`node build.mjs --prefix`). Undefined in code that runs from its source, which
 * counts as an installation from source.
 */
declare const KILLSWITCH_PREFIX: Prefix | undefined;

/**
 * The folder above programs: of packages, or of the machine owner's own installations (hier(7)).
 */
export type Prefix = '/usr' | '/usr/local';

/** This copy's prefix: `/usr` in a package, `/usr/local` from source. */
export const PREFIX: Prefix =
  typeof KILLSWITCH_PREFIX === 'undefined' ? '/usr/local' : KILLSWITCH_PREFIX;

/**
 * All paths are fixed: a .ovpn file may set environment variables, and none of them may move a file
 * of ours.
 */
export const PATHS = {
  settings: '/etc/ovpn-killswitch/killswitch.env',
  /** Survives a reboot. */
  state: '/var/lib/ovpn-killswitch',
  /** Does not survive a reboot. */
  runtime: '/run/ovpn-killswitch',
  tunnels: '/run/ovpn-killswitch/tunnels',
  /** Tunnels that reconnect or have ended. */
  former: '/run/ovpn-killswitch/former',
  /** The networks of the last connection of each attached profile. */
  networks: '/var/lib/ovpn-killswitch/networks',
  /** A trial's files, in place of those in `state`: a reboot ends it. */
  trial: '/run/ovpn-killswitch/trial',
  /**
   * Tunnels of NetworkManager's connections from `vpn-up` to `vpn-down`, live or not; the
   * dispatcher script looks here too.
   */
  connections: '/run/ovpn-killswitch/networkmanager',
  /** The last transaction's rules. */
  last: '/run/ovpn-killswitch/last-transaction',
  /** The last `up`'s input, with the record of the last transaction at that time. */
  told: '/run/ovpn-killswitch/told',
  lock: '/run/ovpn-killswitch/lock',
  /** The lock of the process that watches, held while that process lives. */
  watch: '/run/ovpn-killswitch/watch',
  log: '/var/log/ovpn-killswitch.log',
  library: `${PREFIX}/lib/ovpn-killswitch`,
  command: `${PREFIX}/sbin/ovpn-killswitch`,
  /**
   * The script that NetworkManager's dispatcher runs; under the same name also in pre-up.d and
   * pre-down.d.
   */
  dispatcher: '/etc/NetworkManager/dispatcher.d/00-ovpn-killswitch',
  /** This process's working folder; a hook's is OpenVPN's (proc(5)). */
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

/** The folders of programs: OpenVPN passes no PATH. */
export const PROGRAM_FOLDERS: readonly string[] = [
  '/usr/sbin',
  '/sbin',
  '/usr/bin',
  '/bin',
  '/usr/local/sbin',
  '/usr/local/bin',
];
