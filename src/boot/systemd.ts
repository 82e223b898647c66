import { PATHS } from '../host/paths.ts';
import { BOOT_DONE, BOOT_SCRIPT } from './boot-script.ts';
import type { BootFile, BootStrategy } from './boot-strategy.ts';
import { DAEMON_RELOAD, DROP_IN } from './drop-in.ts';
import { PLUGIN_PLACED, PLUGINS } from './netfilter-persistent.ts';

export const UNITS = '/etc/systemd/system';
export const UNIT = 'ovpn-killswitch.service';
export const EARLY_UNIT = 'ovpn-killswitch-early.service';

/** Services that may flush or replace rules when they start. */
const FIREWALLS = [
  'nftables',
  'netfilter-persistent',
  'iptables',
  'ip6tables',
  'firewalld',
  'ufw',
  'shorewall',
  'shorewall6',
  'ferm',
];

/** Services that bring an interface up, or lead the packets of containers and guests out. */
const NETWORKS = [
  'NetworkManager',
  'systemd-networkd',
  'networking',
  'ifup@',
  'network',
  'wicked',
  'wickedd',
  'connman',
  'dhcpcd',
  'dhcpcd@',
  'iwd',
  'wpa_supplicant',
  'wpa_supplicant@',
  'docker',
  'libvirtd',
  'virtnetworkd',
  'lxc-net',
].map((name) => `${name}.service`);

/**
 * Hardening that needs no sandbox around the units (decision 0141): a kernel without one of these
 * options skips it (systemd.exec(5)), and the rules are loaded all the same.
 */
const HARDENING = `NoNewPrivileges=yes
# Netfilter; files of any owner, as resolv.conf(5); modules that iptables asks for.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SYS_MODULE
UMask=0022
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# It sends no packet but to what holds the resolvers here.
IPAddressDeny=any
IPAddressAllow=localhost
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @mount @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
`;

/**
 * Starts before any service that waits for the start of the system, as nearly all do. Firewalls
 * that start later load their rules over it.
 */
const EARLY = `[Unit]
Description=Base rules of the VPN kill switch, as soon as their text can be read
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=60
ExecStart=${BOOT_SCRIPT}
${HARDENING}`;

/** Does what the script does when it fails, for when the script is missing. */
const NO_NETWORK =
  'for each in /sys/class/net/*; do test "$${each##*/}" = lo || ip link set dev "$${each##*/}" down; done; exit 1';

const MAIN = `[Unit]
Description=Base rules of the VPN kill switch, before the network
DefaultDependencies=no
Wants=network-pre.target
After=local-fs.target ${EARLY_UNIT} ${FIREWALLS.map((name) => `${name}.service`).join(' ')}
Before=network-pre.target ${NETWORKS.filter((name) => !name.includes('@')).join(' ')}
# Stopping it would stop every network manager, and open nothing.
RefuseManualStop=yes

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=60
ExecStart=/bin/sh -c '${BOOT_SCRIPT} || { ${NO_NETWORK}; }'
${HARDENING}`;

/**
 * A manager that requires the unit does not start when the unit fails. But systemd ignores a masked
 * unit at boot, and drops one of a cycle of orders. So the manager also requires the file that the
 * script leaves when nothing can get out.
 */
const REQUIRES = `[Unit]
Requires=${UNIT}
After=${EARLY_UNIT} ${UNIT}
AssertPathExists=${BOOT_DONE}
`;

function dropIn(unit: string, text: string): BootFile {
  return { path: `${UNITS}/${unit}.d/${DROP_IN}`, text, mode: 0o644 };
}

/**
 * Enables units without links: files pull them in, so that presets and `systemctl disable` leave
 * them alone.
 */
export const systemd: BootStrategy = {
  name: 'systemd',
  loader: `systemd (${UNIT}), before the network`,
  plan: ({ exists }) => ({
    files: [
      { path: `${UNITS}/${EARLY_UNIT}`, text: EARLY, mode: 0o644 },
      { path: `${UNITS}/${UNIT}`, text: MAIN, mode: 0o644 },
      dropIn('sysinit.target', `[Unit]\nWants=${EARLY_UNIT}\n`),
      dropIn('multi-user.target', `[Unit]\nWants=${UNIT}\n`),
      ...NETWORKS.map((name) => dropIn(name, REQUIRES)),
      // Its reload and flush come after the boot too.
      ...(exists(PLUGINS) ? [PLUGIN_PLACED] : []),
    ],
    commands: exists(PATHS.systemd) ? [DAEMON_RELOAD] : [],
    links: [],
    notes: ['Network managers, docker and libvirt start after it, and not at all when it fails.'],
  }),
};
