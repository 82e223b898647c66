import { KillswitchError } from '../errors.ts';
import { BOOT_SCRIPT } from './boot-script.ts';
import type { BootMachine, BootStrategy } from './boot-strategy.ts';

export const SERVICE = 'ovpn-killswitch';

/**
 * Gentoo and Alpine have `localmount`, Debian has `mountall`; `after` ignores a service that does
 * not exist. Debian's `networking` does not say that it provides `net`.
 */
const SCRIPT = `#!/sbin/openrc-run

description="Base rules of the VPN kill switch"

depend() {
	after localmount mountall iptables ip6tables nftables
	before net networking
	keyword -timeout
}

start() {
	ebegin "Loading the base rules of the VPN kill switch"
	${BOOT_SCRIPT}
	eend $?
}

# "ovpn-killswitch unlock" opens, a service that stops does not.
stop() {
	return 0
}
`;

/**
 * Refuses netfilter-persistent: Debian starts it after its network, where the rules it loads would
 * replace this product's (docs/decisions/0032).
 */
function refusePersistentRules({ base, exists }: BootMachine): void {
  const there = ['sysinit', 'boot', 'default'].some((runlevel) =>
    exists(`/etc/runlevels/${runlevel}/netfilter-persistent`),
  );
  if (!there || (base['base.v4'] === undefined && base['base.v6'] === undefined)) return;
  throw new KillswitchError(
    'NO_BOOT',
    'OpenRC starts netfilter-persistent after the network, and its rules replace ours in iptables',
    'Set KILLSWITCH_BACKEND=nftables and run "ovpn-killswitch lock", or remove it: rc-update del netfilter-persistent.',
  );
}

/**
 * Services of OpenRC that replace the loaded rules with saved ones, and the base of this product
 * that each removes: nftables flushes every rule.
 */
const RESTORES = [
  { service: 'iptables', base: 'base.v4' },
  { service: 'ip6tables', base: 'base.v6' },
  { service: 'nftables', base: 'base.v4' },
  { service: 'nftables', base: 'base.nft' },
] as const;

/**
 * Refuses such a service in the runlevel `default`: there it starts after this product's, whatever
 * `after` says, and after the network. In this product's runlevel it comes first.
 */
function refuseLaterRestores({ base, exists }: BootMachine, ours: string): void {
  const found = RESTORES.find(
    ({ service, base: file }) =>
      exists(`/etc/runlevels/default/${service}`) && base[file] !== undefined,
  );
  if (found === undefined) return;
  throw new KillswitchError(
    'NO_BOOT',
    `OpenRC starts ${found.service} in the runlevel default, after our service, and its rules replace ours`,
    `Start it before our service: rc-update del ${found.service} default; rc-update add ${found.service} ${ours}. Or remove it.`,
  );
}

export const openrc: BootStrategy = {
  name: 'openrc',
  loader: `OpenRC (the service ${SERVICE}), before net`,
  plan: (machine) => {
    refusePersistentRules(machine);
    // Debian's own scripts enter the runlevels sysinit and default alone.
    const runlevel = machine.exists('/etc/debian_version') ? 'sysinit' : 'boot';
    refuseLaterRestores(machine, runlevel);
    return {
      files: [{ path: `/etc/init.d/${SERVICE}`, text: SCRIPT, mode: 0o755 }],
      commands: [{ program: 'rc-update', args: ['add', SERVICE, runlevel] }],
      links: [`/etc/runlevels/${runlevel}/${SERVICE}`],
      notes: [
        '"rc-service iptables save" may save a live tunnel\'s rules: they are replaced by the base rules at boot.',
      ],
    };
  },
};
