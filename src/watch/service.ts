import type { BootPlan } from '../boot/boot-strategy.ts';
import type { Command } from '../host/command.ts';
import { PATHS } from '../host/paths.ts';

export const WATCH_SERVICE = 'ovpn-killswitch-watch';
const UNIT = `/etc/systemd/system/${WATCH_SERVICE}.service`;
const OPENRC_SCRIPT = `/etc/init.d/${WATCH_SERVICE}`;

/** One of these files exists where the service is set up. */
export const SERVICE_FILES: readonly string[] = [UNIT, OPENRC_SCRIPT];

/**
 * Hardening that the service works under (systemd.exec(5)). Decision 0088 says what stays open, and
 * why: the network and user namespaces, /etc, every process in /proc, memory that Node compiles
 * into, and modules.
 */
const HARDENING = `NoNewPrivileges=yes
# Netfilter; files of any owner, as hosts(5); modules that iptables asks for.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SYS_MODULE
ProtectSystem=yes
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
KeyringMode=private
# It sends no packet: netlink and local sockets are all it needs.
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
SystemCallArchitectures=native
# A list of what is refused, and refused with an error: Node tries new calls with each version.
SystemCallFilter=~@clock @cpu-emulation @debug @mount @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
`;

/**
 * More than twice the measured need of Node, "nft monitor" with a copy of every rule of the
 * machine, "ip monitor", and the programs it runs.
 */
const SYSTEMD = `[Unit]
Description=Puts the rules of the VPN kill switch back when somebody changes them
After=ovpn-killswitch.service
StartLimitIntervalSec=0

[Service]
ExecStart=${PATHS.command} watch
Restart=always
RestartSec=1
TimeoutStopSec=5
MemoryMax=256M
CPUQuota=50%
TasksMax=64
${HARDENING}`;

const OPENRC = `#!/sbin/openrc-run

description="Puts the rules of the VPN kill switch back when somebody changes them"
supervisor=supervise-daemon
command=${PATHS.command}
command_args=watch
respawn_delay=1
respawn_max=0

depend() {
	after ovpn-killswitch net
}
`;

/** Returns the command that starts the service, anew where it runs. */
export function watchRestart(init: 'systemd' | 'openrc'): Command {
  return init === 'systemd'
    ? { program: 'systemctl', args: ['restart', `${WATCH_SERVICE}.service`], changes: 'service' }
    : { program: 'rc-service', args: [WATCH_SERVICE, 'restart'], changes: 'service' };
}

/** Returns the command that ends with 0 while the service runs. */
export function watchIsActive(init: 'systemd' | 'openrc'): Command {
  return init === 'systemd'
    ? { program: 'systemctl', args: ['is-active', '--quiet', `${WATCH_SERVICE}.service`] }
    : { program: 'rc-service', args: [WATCH_SERVICE, 'status'] };
}

/**
 * Plans the service for this machine's init system: started now, and at each boot. The script
 * `recover` takes it back.
 */
export function watchService(init: 'systemd' | 'openrc'): BootPlan {
  switch (init) {
    case 'systemd':
      return {
        files: [
          { path: UNIT, text: SYSTEMD, mode: 0o644 },
          {
            path: `/etc/systemd/system/multi-user.target.d/${WATCH_SERVICE}.conf`,
            text: `[Unit]\nWants=${WATCH_SERVICE}.service\n`,
            mode: 0o644,
          },
        ],
        commands: [{ program: 'systemctl', args: ['daemon-reload'] }, watchRestart(init)],
        links: [],
        notes: [],
      };
    case 'openrc':
      return {
        files: [{ path: OPENRC_SCRIPT, text: OPENRC, mode: 0o755 }],
        commands: [
          { program: 'rc-update', args: ['add', WATCH_SERVICE, 'default'] },
          watchRestart(init),
        ],
        links: [`/etc/runlevels/default/${WATCH_SERVICE}`],
        notes: [],
      };
    default:
      return init satisfies never;
  }
}
