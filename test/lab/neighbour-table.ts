import type { BackendName } from '../../src/policy/settings.ts';

/**
 * The events of a neighbour while this machine is locked. With a neighbour that ran before,
 * `start` is the lock.
 */
export const PHASES = ['start', 'reload', 'stop'] as const;
export type Phase = (typeof PHASES)[number];

/**
 * The effect of a phase on our rules, without "watch"; nothing leaves either way. `none`: nothing.
 * `perhaps`: they were not always what they should be; `status` says so when they are not.
 * Otherwise they never are, and `status` ends with 2 and names these differences among others.
 */
export type Effect = 'none' | 'perhaps' | readonly string[];

const all = (effect: Effect): Readonly<Record<Phase, Effect>> => ({
  start: effect,
  reload: effect,
  stop: effect,
});

/** Builtin chains whose policy is not ours any more. */
const opened = (...chains: readonly string[]) =>
  chains.map((chain) => `${chain}: its policy is ACCEPT and should be DROP`);

/** Builtin chains that do not lead to ours any more. */
const unhooked = (family: 'ipv4' | 'ipv6') =>
  ['INPUT', 'FORWARD', 'OUTPUT'].map(
    (chain) => `${family} ${chain}: missing: -j KILLSWITCH-${chain}`,
  );

const FLUSHED = [
  'ipv4 KILLSWITCH-OUTPUT',
  'ipv4 mangle KILLSWITCH-POSTROUTING',
  'ipv6 KILLSWITCH-OUTPUT',
  'ipv6 mangle KILLSWITCH-POSTROUTING',
].map((chain) => `${chain}: the chain is missing`);
const RESTORED = [
  ...unhooked('ipv4'),
  ...unhooked('ipv6'),
  ...opened('ipv4 OUTPUT', 'ipv6 OUTPUT'),
];
const BRIDGED = [
  'ipv4 FORWARD: not ours: -j DOCKER-USER',
  'ipv4 FORWARD: not ours: -i docker0 -o docker0 -j ACCEPT',
];

/**
 * Another program that has rules of its own. Each word is a shell script that waits for its end.
 */
export interface Neighbour extends Readonly<Record<Phase, string>> {
  readonly name: string;
  /** Where it is installed, when not beside all the others. */
  readonly root?: string;
  readonly prepare?: string;
  /** The bridge of its guests, and the first three bytes of the network there. */
  readonly bridge?: string;
  readonly network?: string;
  readonly beside: Readonly<Record<BackendName, Readonly<Record<Phase, Effect>>>>;
}

/**
 * Stops or restarts libvirtd. One of 11.3 that was started a moment ago may hang when it is told to
 * end, and asks systemd for 30 s more each time (EXTEND_TIMEOUT_USEC), so that no TimeoutStopSec
 * helps. At its end it leaves networks and rules alone, so that being killed is the same.
 */
export const LIBVIRTD = (job: 'stop' | 'restart'): string =>
  `timeout 5 systemctl ${job} libvirtd 2>/dev/null || { systemctl kill --kill-whom=main -s KILL libvirtd; systemctl reset-failed libvirtd; systemctl ${job} libvirtd; }`;

/**
 * The rules that docker 29 loads for its first bridge with `firewall-backend: nftables`, as its
 * documentation lists it. Debian has no such docker.
 */
const PLAYED_DOCKER = `nft -f - <<'END'
${['ip', 'ip6'].map(playedDocker).join('\n')}
END`;
const NO_PLAYED_DOCKER = 'nft "delete table ip docker-bridges; delete table ip6 docker-bridges"';

function playedDocker(family: string): string {
  const masquerade =
    family === 'ip' ? 'oifname != "docker0" ip saddr 172.17.0.0/16 counter masquerade' : '';
  return `table ${family} docker-bridges {
  map forward-in { type ifname : verdict; elements = { "docker0" : jump forward-in-docker0 } }
  map forward-out { type ifname : verdict; elements = { "docker0" : jump forward-out-docker0 } }
  chain forward-in-docker0 { ct state established,related counter accept; iifname "docker0" counter accept; counter drop; }
  chain forward-out-docker0 { ct state established,related counter accept; counter accept; }
  chain filter-FORWARD {
    type filter hook forward priority filter; policy accept;
    oifname vmap @forward-in
    iifname vmap @forward-out
  }
  chain local { }
  chain nat-PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local counter jump local; }
  chain nat-OUTPUT { type nat hook output priority -100; policy accept; fib daddr type local counter jump local; }
  chain nat-POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ${masquerade}
  }
  chain raw-PREROUTING { type filter hook prerouting priority raw; policy accept; }
}`;
}

export const LIBVIRT = {
  name: 'libvirt',
  start: 'systemctl start virtlogd.socket libvirtd; virsh -q -c qemu:///system net-start default',
  reload: `${LIBVIRTD('restart')}; virsh -q -c qemu:///system net-list`,
  stop: `virsh -q -c qemu:///system net-destroy default; ${LIBVIRTD('stop')}`,
  bridge: 'virbr0',
  network: '192.168.122',
  beside: {
    nftables: all('none'),
    iptables: {
      start: [
        'ipv4 INPUT: not ours: -j LIBVIRT_INP',
        'ipv4 FORWARD: not ours: -j LIBVIRT_FWO',
        'ipv6 OUTPUT: not ours: -j LIBVIRT_OUT',
      ],
      reload: 'perhaps',
      stop: 'perhaps',
    },
  },
} as const satisfies Neighbour;

export const NEIGHBOURS: readonly Neighbour[] = [
  {
    name: 'nftables.service',
    start: 'systemctl start nftables',
    reload: 'systemctl reload nftables',
    stop: 'systemctl stop nftables',
    beside: { nftables: all('none'), iptables: all('none') },
  },
  {
    name: 'a ruleset by hand',
    start:
      "nft 'add table inet mine; add chain inet mine output { type filter hook output priority 10; policy accept; }; add rule inet mine output accept'; iptables -A OUTPUT -j ACCEPT",
    reload: 'iptables -I OUTPUT -j ACCEPT; iptables -I INPUT -j ACCEPT; iptables -P OUTPUT ACCEPT',
    stop: 'nft delete table inet mine; iptables -F',
    beside: {
      nftables: all('none'),
      iptables: {
        start: 'none',
        reload: [
          'ipv4 INPUT: not ours: -j ACCEPT',
          'ipv4 OUTPUT: not ours: -j ACCEPT',
          ...opened('ipv4 OUTPUT'),
        ],
        stop: [
          ...unhooked('ipv4'),
          'ipv4 KILLSWITCH-OUTPUT: missing: -m comment --comment rest -j DROP',
        ],
      },
    },
  },
  {
    name: 'ufw',
    start: 'systemctl start ufw',
    reload: 'ufw reload',
    stop: 'systemctl stop ufw',
    beside: {
      nftables: all('none'),
      iptables: {
        start: opened('ipv4 OUTPUT', 'ipv6 OUTPUT'),
        reload: opened('ipv4 OUTPUT', 'ipv6 OUTPUT'),
        stop: opened(
          'ipv4 INPUT',
          'ipv4 FORWARD',
          'ipv4 OUTPUT',
          'ipv6 INPUT',
          'ipv6 FORWARD',
          'ipv6 OUTPUT',
        ),
      },
    },
  },
  {
    name: 'firewalld (nftables)',
    prepare: 'sed -i s/^FirewallBackend=.*/FirewallBackend=nftables/ /etc/firewalld/firewalld.conf',
    start: 'systemctl start firewalld; firewall-cmd --state',
    reload: 'firewall-cmd --reload',
    stop: 'systemctl stop firewalld',
    beside: { nftables: all('none'), iptables: all(FLUSHED) },
  },
  {
    name: 'firewalld (iptables)',
    prepare:
      'sed -i s/^FirewallBackend=.*/FirewallBackend=iptables/ /etc/firewalld/firewalld.conf; ln -s /lib/systemd/system/firewalld.service /etc/systemd/system/multi-user.target.wants/',
    start: 'systemctl start firewalld; firewall-cmd --state',
    reload: 'firewall-cmd --reload',
    stop: 'systemctl stop firewalld',
    beside: { nftables: all('none'), iptables: all('none') },
  },
  {
    name: 'docker',
    start: 'systemctl start containerd docker',
    reload: 'systemctl restart docker',
    stop: 'systemctl stop docker.socket docker containerd',
    bridge: 'docker0',
    network: '172.17.0',
    beside: { nftables: all('none'), iptables: { start: BRIDGED, reload: BRIDGED, stop: 'none' } },
  },
  {
    name: 'docker with nftables, simulated',
    start: `ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip link set docker0 up
echo 1 >/proc/sys/net/ipv4/ip_forward
${PLAYED_DOCKER}`,
    reload: `${NO_PLAYED_DOCKER}
${PLAYED_DOCKER}`,
    stop: NO_PLAYED_DOCKER,
    bridge: 'docker0',
    network: '172.17.0',
    beside: { nftables: all('none'), iptables: all('none') },
  },
  {
    name: 'fail2ban',
    start:
      'systemctl start fail2ban; until fail2ban-client ping; do sleep 0.1; done; fail2ban-client set sshd banip 192.0.2.66',
    reload: 'fail2ban-client reload; fail2ban-client set sshd banip 192.0.2.67',
    stop: 'systemctl stop fail2ban',
    beside: {
      nftables: all('none'),
      iptables: {
        start: ['ipv4 INPUT: not ours: -p tcp -m multiport --dports 22 -j f2b-sshd'],
        reload: 'perhaps',
        stop: 'perhaps',
      },
    },
  },
  LIBVIRT,
  {
    name: 'iptables-persistent',
    root: 'netfilter-persistent-12',
    prepare: `printf '*filter\\n-A OUTPUT -j ACCEPT\\nCOMMIT\\n' | tee /etc/iptables/rules.v4 >/etc/iptables/rules.v6`,
    start: 'systemctl start netfilter-persistent',
    reload: 'netfilter-persistent reload',
    stop: 'systemctl stop netfilter-persistent',
    beside: {
      nftables: all('none'),
      iptables: { start: RESTORED, reload: RESTORED, stop: 'none' },
    },
  },
];
