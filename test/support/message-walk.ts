import type { BackendName } from '../../src/policy/settings.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { LIBRARY, type Machine, must, STATE } from '../hooks/installed-machine.ts';
import { hideHere, mountHere, standIn } from '../hooks/obstacles.ts';

/** One call of a command in a state that was brought about for it. */
export interface Step {
  readonly name: string;
  /** Only with this backend. */
  readonly only?: BackendName;
  /** Makes the state. After the step mounts go, the machine is opened and installed again. */
  prepare?(it: Machine, backend: BackendName): void;
  readonly call: readonly string[];
  /** The error code that it must end with. */
  readonly code?: string;
  /** Whether a tool is spoilt or hidden, so that "unknown" may be true. */
  readonly spoilt?: boolean;
  /** The text that it must print, on stdout or stderr. */
  readonly says?: RegExp;
}

const KINDS = ['', '-nft', '-legacy'];
const every = (end: 'save' | 'restore') =>
  KINDS.flatMap((kind) => [`iptables${kind}-${end}`, `ip6tables${kind}-${end}`]);
const ALL_TOOLS = ['nft', ...every('save'), ...every('restore')];
const COMMAND = '/usr/local/sbin/ovpn-killswitch';
const RECOVER = `${LIBRARY}/recover`;
const ENDPOINT = 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp';

const settings = (it: Machine, backend: BackendName, ...more: readonly string[]) =>
  it.settings(`KILLSWITCH_BACKEND=${backend}`, ENDPOINT, ...more);
const lock = (it: Machine) => must(it.command('lock', '--force'));
const dropForward = (it: Machine) => must(it.sh('iptables -P FORWARD DROP'));

/** A tool that changes rules fails, one that lists them works. */
const REFUSES =
  'case "$0 $*" in *-restore*|*" -f "*|*delete*) echo refused >&2; exit 1;; esac; exec $real "$@"';
/** A tool that changes rules claims success. */
const PRETENDS = 'case "$0 $*" in *-restore*|*" -f "*) exit 0;; esac; exec $real "$@"';
/** Everything fails. */
const BROKEN = 'echo broken >&2; exit 1';
const NATIVE =
  "for of in ip ip6; do nft add table $of filter; nft add chain $of filter OUTPUT '{ type filter hook output priority filter; }'; nft add rule $of filter OUTPUT ct state established accept; done";

/** Every message of `lock`, `unlock`, `recover`, `uninstall` and `boot enable`, brought about. */
export const STEPS: readonly Step[] = [
  { name: 'unlock of nothing', call: [COMMAND, 'unlock'], says: /Nothing of ours was loaded/ },
  { name: 'lock', call: [COMMAND, 'lock'], says: /^Locked: blocked/m },
  {
    name: 'lock without a server',
    prepare: (it, backend) => it.settings(`KILLSWITCH_BACKEND=${backend}`),
    call: [COMMAND, 'lock', '--force'],
    says: /No endpoint is known/,
  },
  {
    name: 'lock for a time',
    call: [COMMAND, 'lock', '--confirm', '600'],
    says: /It opens again in 600 s/,
  },
  {
    name: 'lock on trial',
    prepare: lock,
    call: [COMMAND, 'lock', '--confirm', '600'],
    says: /It restores the previous lock in 600 s/,
  },
  {
    name: 'unlock',
    prepare: lock,
    call: [COMMAND, 'unlock'],
    says: /^Unlocked: nothing is guarded until the next lock\.$/m,
  },
  {
    name: 'unlock for a time',
    prepare: lock,
    call: [COMMAND, 'unlock', '--for', '5m'],
    says: /then it locks again by itself/,
  },
  {
    name: 'unlock beside a policy that drops',
    prepare: (it) => {
      dropForward(it);
      lock(it);
    },
    call: [COMMAND, 'unlock'],
    says: /the policy of the chain "ip filter FORWARD", which is not ours, drops/,
  },
  {
    name: 'recover beside a policy that drops',
    prepare: (it) => {
      dropForward(it);
      lock(it);
    },
    call: [RECOVER],
    says: /done: nothing is guarded/,
  },
  { name: 'recover of nothing', call: [RECOVER], says: /done: nothing is guarded/ },
  {
    name: 'recover',
    prepare: lock,
    call: [COMMAND, 'recover'],
    says: /nothing of ours is left/,
  },
  {
    name: 'recover where a native rule hides the table',
    only: 'iptables',
    prepare: (it) => {
      lock(it);
      must(it.sh(NATIVE));
    },
    call: [RECOVER],
    says: /nft \(table ip filter\): nothing of ours is left/,
  },
  {
    name: 'recover with a tool that refuses',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      standIn(it, REFUSES, ...ALL_TOOLS);
    },
    call: [RECOVER],
    says: /LEFT: /,
  },
  {
    name: 'recover with broken tools',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      standIn(it, BROKEN, ...ALL_TOOLS);
    },
    call: [RECOVER],
    says: /LEFT: whether the table inet ovpn_killswitch is there/,
  },
  {
    name: 'recover with an nft that lists no table',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      standIn(
        it,
        'case "$*" in *"list table "*) echo broken >&2; exit 1;; esac; exec $real "$@"',
        'nft',
      );
    },
    call: [RECOVER],
    says: /LEFT: nft cannot read the table/,
  },
  {
    name: 'recover with a record of somebody else',
    prepare: (it) => {
      lock(it);
      must(it.sh(`chown 1000 ${STATE}`));
    },
    call: [RECOVER],
    says: /no rule of ours is in the kernel now, and a reboot loads them again/,
  },
  {
    name: 'recover where a rule of nft uses a chain of ours',
    only: 'iptables',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      must(it.sh(NATIVE));
      must(
        it.sh(
          'nft add map ip filter theirs "{ type inet_service : verdict; elements = { 1 : jump KILLSWITCH-OUTPUT }; }"',
        ),
      );
      hideHere(it, ...every('save'));
    },
    call: [RECOVER],
    says: /LEFT: /,
  },
  {
    name: 'a profile that is a folder, at uninstall',
    prepare: (it) => {
      must(it.run('mkdir', '-p', '/etc/openvpn/client/odd.conf'));
      lock(it);
    },
    call: [COMMAND, 'uninstall'],
    code: 'PROFILE',
  },
  {
    name: 'recover without tools',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      hideHere(it, ...ALL_TOOLS);
    },
    call: [RECOVER],
    says: /LEFT: /,
  },
  {
    name: 'recover without nft, with an iptables that cannot read',
    spoilt: true,
    only: 'iptables',
    prepare: (it) => {
      lock(it);
      hideHere(it, 'nft');
      standIn(it, BROKEN, ...every('save'));
    },
    call: [RECOVER],
    says: /cannot read its rules, and nft cannot be asked/,
  },
  {
    name: 'recover where another rule uses a chain of ours',
    only: 'iptables',
    prepare: (it) => {
      lock(it);
      must(it.sh('iptables -N THEIRS; iptables -A THEIRS -p tcp -j KILLSWITCH-OUTPUT'));
    },
    call: [RECOVER],
    says: /LEFT: .*empty chains of ours/,
  },
  {
    name: 'recover with a read-only record',
    prepare: (it) => {
      lock(it);
      mountHere(it, '/var/lib', '--bind', '/var/lib');
      must(it.sh('mount -o remount,bind,ro /var/lib'));
    },
    call: [RECOVER],
    says: /no rule of ours is in the kernel now/,
  },
  {
    name: 'recover that is stopped',
    prepare: (it) => {
      lock(it);
      it.write('/run/stopped', '#!/bin/sh\nkill -9 $$\n');
      mountHere(it, RECOVER, '--bind', '/run/stopped');
    },
    call: [COMMAND, 'recover'],
    code: 'DEADLINE',
  },
  { name: 'usage', call: [COMMAND, 'lock', '--forse'], code: 'USAGE' },
  {
    name: 'unlock for a time, of nothing',
    call: [COMMAND, 'unlock', '--for', '5m'],
    code: 'USAGE',
  },
  {
    name: 'no rights',
    prepare: lock,
    call: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', COMMAND, 'unlock'],
    code: 'NOT_ROOT',
  },
  {
    name: 'recover without rights',
    prepare: lock,
    call: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', RECOVER],
    says: /CAP_NET_ADMIN is missing\): nothing was changed/,
  },
  {
    name: 'a mistake in the settings, open',
    prepare: (it, backend) => settings(it, backend, 'KILLSWITCH_LAN=everything'),
    call: [COMMAND, 'lock'],
    code: 'SETTINGS',
  },
  {
    name: 'a mistake in the settings, locked',
    prepare: (it, backend) => {
      lock(it);
      settings(it, backend, 'KILLSWITCH_LAN=everything');
    },
    call: [COMMAND, 'lock'],
    code: 'SETTINGS',
  },
  {
    name: 'no server',
    prepare: (it, backend) => it.settings(`KILLSWITCH_BACKEND=${backend}`),
    call: [COMMAND, 'lock'],
    code: 'NO_ENDPOINT',
  },
  {
    name: 'no tool, open',
    spoilt: true,
    prepare: (it) => void hideHere(it, ...ALL_TOOLS),
    call: [COMMAND, 'lock'],
    code: 'NO_BACKEND',
  },
  {
    name: 'no tool, locked',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      hideHere(it, ...ALL_TOOLS);
    },
    call: [COMMAND, 'unlock'],
    code: 'NO_BACKEND',
  },
  {
    name: 'no tool for IPv6',
    spoilt: true,
    only: 'iptables',
    prepare: (it) => void hideHere(it, 'ip6tables-save', 'ip6tables-restore'),
    call: [COMMAND, 'lock'],
    code: 'NO_IPV6_BACKEND',
  },
  {
    name: 'a tool that cannot read, at unlock',
    spoilt: true,
    prepare: (it, backend) => {
      lock(it);
      standIn(it, BROKEN, ...(backend === 'nftables' ? ['nft'] : ALL_TOOLS));
    },
    call: [COMMAND, 'unlock'],
    code: 'COMMAND',
  },
  {
    name: 'a tool that cannot read, without a record',
    spoilt: true,
    prepare: (it, backend) => {
      lock(it);
      must(it.sh(`rm ${STATE}/lock.json ${STATE}/lock.plain`));
      standIn(it, BROKEN, ...(backend === 'nftables' ? ['nft'] : ALL_TOOLS));
    },
    call: [COMMAND, 'unlock'],
    code: 'COMMAND',
  },
  {
    name: 'an iptables that cannot read, without a record, beside nft',
    spoilt: true,
    only: 'iptables',
    prepare: (it) => {
      lock(it);
      must(it.sh(`rm ${STATE}/lock.json ${STATE}/lock.plain`));
      standIn(it, BROKEN, ...every('save'), ...every('restore'));
    },
    call: [COMMAND, 'unlock'],
    code: 'VERIFY',
  },
  {
    name: 'a tool that refuses, at lock',
    spoilt: true,
    prepare: (it) => standIn(it, REFUSES, ...ALL_TOOLS),
    call: [COMMAND, 'lock'],
    code: 'REFUSED',
  },
  {
    name: 'a tool that refuses, at unlock',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      standIn(it, REFUSES, ...ALL_TOOLS);
    },
    call: [COMMAND, 'unlock'],
    code: 'REFUSED',
  },
  {
    name: 'a tool that refuses one family',
    spoilt: true,
    only: 'iptables',
    prepare: (it) =>
      standIn(
        it,
        'case "$*" in *--test*) ;; *) exit 1;; esac; exec $real "$@"',
        'iptables-restore',
      ),
    call: [COMMAND, 'lock'],
    code: 'PARTLY',
  },
  {
    name: 'a tool that pretends, at lock',
    spoilt: true,
    prepare: (it) => standIn(it, PRETENDS, ...ALL_TOOLS),
    call: [COMMAND, 'lock'],
    code: 'VERIFY',
  },
  {
    name: 'a tool that pretends, at unlock',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      standIn(it, PRETENDS, ...ALL_TOOLS);
    },
    call: [COMMAND, 'unlock'],
    code: 'VERIFY',
  },
  {
    name: 'somebody holds the lock',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      it.write('/run/no-flock', '#!/bin/sh\nexit 1\n');
      must(it.run('chmod', '755', '/run/no-flock'));
      mountHere(it, '/usr/bin/flock', '--bind', '/run/no-flock');
    },
    call: [COMMAND, 'unlock'],
    code: 'BUSY',
  },
  {
    name: 'resolvers that cannot be set',
    prepare: (it, backend) => {
      settings(it, backend, 'KILLSWITCH_RESOLVER=resolvconf');
      it.hook('up', tunnelCall('tun0'));
    },
    call: [COMMAND, 'lock'],
    code: 'RESOLVERS',
  },
  {
    name: 'resolvers that cannot be restored',
    prepare: (it) => {
      lock(it);
      must(it.sh(`mkdir -p ${STATE}/dns/before; echo /nowhere/at/all >${STATE}/dns/place`));
    },
    call: [COMMAND, 'unlock'],
    code: 'FILES',
  },
  {
    name: 'a state folder that cannot be written',
    prepare: (it) => {
      mountHere(it, '/var/lib', '--bind', '/var/lib');
      must(it.sh('mount -o remount,bind,ro /var/lib'));
    },
    call: [COMMAND, 'lock'],
    code: 'FILES',
  },
  {
    name: 'settings of somebody else',
    prepare: (it) => must(it.sh('chown 1000 /etc/ovpn-killswitch/killswitch.env')),
    call: [COMMAND, 'lock'],
    code: 'OWNER',
  },
  {
    name: 'boot enable',
    prepare: lock,
    call: [COMMAND, 'boot', 'enable', '--with', 'plain'],
    says: /base rules/,
  },
  {
    name: 'boot enable of an open machine',
    call: [COMMAND, 'boot', 'enable', '--with', 'plain'],
    says: /This machine is not locked now/,
  },
  {
    name: 'boot enable beside rules without a record',
    prepare: (it) => {
      lock(it);
      must(it.sh(`rm ${STATE}/lock.json ${STATE}/lock.plain`));
    },
    call: [COMMAND, 'boot', 'enable', '--with', 'plain'],
    says: /Rules are loaded now, but nothing says that this machine is locked/,
  },
  {
    name: 'boot enable that fails',
    prepare: lock,
    call: [COMMAND, 'boot', 'enable', '--with', 'openrc'],
    code: 'NO_BOOT',
  },
  {
    name: 'boot disable',
    prepare: (it) => {
      lock(it);
      must(it.command('boot', 'enable', '--with', 'plain'));
    },
    call: [COMMAND, 'boot', 'disable'],
    says: /after a reboot nothing is guarded/,
  },
  {
    name: 'boot disable of nothing',
    call: [COMMAND, 'boot', 'disable'],
    says: /Nothing of ours was loaded at boot/,
  },
  {
    name: 'uninstall',
    prepare: lock,
    call: [COMMAND, 'uninstall'],
    says: /^Removed: the rules, the hooks/m,
  },
  {
    name: 'uninstall beside a policy that drops',
    prepare: (it) => {
      dropForward(it);
      lock(it);
    },
    call: [COMMAND, 'uninstall'],
    says: /which is not ours, drops/,
  },
  {
    name: 'uninstall of a folder that cannot be removed',
    prepare: (it) => {
      lock(it);
      mountHere(it, '/etc/ovpn-killswitch', '--bind', '/etc/ovpn-killswitch');
    },
    call: [COMMAND, 'uninstall'],
    says: /^LEFT: \/etc\/ovpn-killswitch cannot be removed$/m,
  },
  {
    name: 'uninstall with a tool that refuses',
    spoilt: true,
    prepare: (it) => {
      lock(it);
      standIn(it, REFUSES, ...ALL_TOOLS);
    },
    call: [COMMAND, 'uninstall'],
    code: 'REFUSED',
  },
];
