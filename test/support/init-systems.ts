import { LAN, UPLINK } from '../../src/proof/addresses.ts';

/** A machine's own addresses on the client's LAN. */
export interface OwnAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
  readonly global6: string;
}

export const CLIENTS_OWN: OwnAddresses = {
  ipv4: LAN.client4,
  ipv6: LAN.client6,
  global6: LAN.clientGlobal6,
};

/**
 * The questions to a booted machine in the words of its init system. Each is a shell script that
 * runs in it.
 */
export interface InitSystem {
  /** Says `running` or `degraded` once nothing is left to be started. */
  readonly state: string;
  /** The services that failed, a line each. */
  readonly failed: string;
  /** Lists the jobs that are still to be started, for people. */
  readonly pending: string;
  /** Prints the messages since power-on, where they are kept. */
  readonly journal: string | undefined;
  /** Shuts down and starts anew; undefined where its last steps would reach out of the machine. */
  readonly reboot: string | undefined;
  /**
   * Before the first boot: has its network manager set the uplink up, with these addresses.
   */
  prepare(own: OwnAddresses): string;
  /** Has a program started at boot, as early as there are services. */
  early(name: string, program: string): string;
}

const NETWORKD = (own: OwnAddresses) => `
mkdir -p /etc/systemd/network /etc/systemd/system/multi-user.target.wants /etc/systemd/system/network-online.target.wants
cat >/etc/systemd/network/${UPLINK}.network <<'END'
[Match]
Name=${UPLINK}
[Network]
IPv6AcceptRA=no
IPv6DuplicateAddressDetection=0
Address=${own.ipv4}/24
Address=${own.ipv6}/64
Address=${own.global6}/64
Gateway=${LAN.router4}
Gateway=${LAN.routerGlobal6}
END
ln -sf /lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants
ln -sf /lib/systemd/system/systemd-networkd-wait-online.service /etc/systemd/system/network-online.target.wants
`;

/** systemd-networkd comes with systemd, and is off unless somebody switches it on. */
const NETWORKMANAGER = (own: OwnAddresses) => `
(umask 077; cat >/etc/NetworkManager/system-connections/uplink.nmconnection) <<'END'
[connection]
id=uplink
type=ethernet
interface-name=${UPLINK}
[ipv4]
method=manual
address1=${own.ipv4}/24,${LAN.router4}
[ipv6]
method=manual
address1=${own.ipv6}/64
address2=${own.global6}/64,${LAN.routerGlobal6}
END
`;

const IFUPDOWN = (own: OwnAddresses) => `
cat >/etc/network/interfaces <<'END'
auto ${UPLINK}
iface ${UPLINK} inet static
  address ${own.ipv4}/24
  gateway ${LAN.router4}
iface ${UPLINK} inet6 static
  dad-attempts 0
  accept_ra 0
  address ${own.global6}/64
  gateway ${LAN.routerGlobal6}
  up ip address add ${own.ipv6}/64 dev ${UPLINK} nodad
END
`;

const SYSTEMD: InitSystem = {
  state: 'systemctl is-system-running',
  failed: "systemctl --failed --plain --no-legend --no-pager | cut -d' ' -f1",
  pending: 'systemctl list-jobs --no-pager 2>&1',
  journal: 'journalctl -b --no-pager -o cat',
  reboot: 'systemctl --no-block reboot',
  prepare: NETWORKD,
  early: (name, program) => `
cat >/etc/systemd/system/${name}.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
ExecStart=${program}
[Install]
WantedBy=sysinit.target
END
systemctl enable ${name}.service
`,
};

const OPENRC: InitSystem = {
  // The last runlevel is named when the program openrc enters it, and that program ends when all of
  // it is started.
  state: `if [ "$(cat /run/openrc/softlevel)" = default ] && ! pgrep -x openrc >/dev/null; then echo running; fi`,
  failed: 'ls /run/openrc/failed 2>/dev/null',
  pending: 'rc-status --all --nocolor 2>&1',
  journal: undefined,
  // Its services for that end with swapoff(8) for everything in /proc/swaps.
  reboot: undefined,
  // Not its services for clock, cgroup hierarchies, backlight and kernel settings: those are the
  // whole machine's. Terminals it has none, and file systems of the kernel it needs no more.
  prepare: (own) => `${IFUPDOWN(own)}
    for each in hwclock.sh cgroups brightness procps mount-configfs; do rm -f /etc/runlevels/sysinit/$each; done
    sed -i '/getty/d' /etc/inittab
    printf 'none /sys/kernel/security securityfs noauto 0 0\\nnone /sys/fs/pstore pstore noauto 0 0\\n' >/etc/fstab`,
  early: (name, program) => `
cat >/etc/init.d/${name} <<'END'
#!/sbin/openrc-run
command=${program}
command_background=yes
pidfile=/run/${name}.pid
depend() {
	before mountkernfs
}
END
chmod 755 /etc/init.d/${name}
rc-update add ${name} sysinit
`,
};

/** Of a root of `.ci/rootfs`, by its name. */
export function initSystemOf(root: string): InitSystem {
  if (root.startsWith('openrc')) return OPENRC;
  if (root.startsWith('networkmanager')) return { ...SYSTEMD, prepare: NETWORKMANAGER };
  if (root.startsWith('ifupdown')) return { ...SYSTEMD, prepare: IFUPDOWN };
  return SYSTEMD;
}
