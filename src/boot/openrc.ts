import { BOOT_SCRIPT } from './boot-script.ts';
import type { BootStrategy } from './boot-strategy.ts';

const SERVICE = 'ovpn-killswitch';

/** `localmount` is what Gentoo and Alpine have, `mountall` what Debian has; a service that is not there is no hindrance to `after`. */
const SCRIPT = `#!/sbin/openrc-run

description="Base rules of the VPN kill switch"

depend() {
	after localmount mountall iptables ip6tables nftables
	before net
	keyword -timeout
}

start() {
	ebegin "Loading the base rules of the VPN kill switch"
	${BOOT_SCRIPT}
	eend $?
}

# Nothing but "ovpn-killswitch unlock" opens.
stop() {
	return 0
}
`;

export const openrc: BootStrategy = {
  name: 'openrc',
  loader: `OpenRC (the service ${SERVICE}), before net`,
  plan: ({ exists }) => {
    // Debian's own wiring enters the runlevels sysinit and default alone.
    const runlevel = exists('/etc/debian_version') ? 'sysinit' : 'boot';
    return {
      files: [{ path: `/etc/init.d/${SERVICE}`, text: SCRIPT, mode: 0o755 }],
      commands: [{ program: 'rc-update', args: ['add', SERVICE, runlevel] }],
      links: [`/etc/runlevels/${runlevel}/${SERVICE}`],
      notes: ['"rc-service iptables save" may save a live tunnel\'s rules: they are replaced by the base rules at boot.'],
    };
  },
};
