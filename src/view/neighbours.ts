import { nftablesOpens } from '../boot/nftables-service.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { isUnitEnabled } from '../machine/enabled-unit.ts';
import { firewalldFlushesIptables } from '../machine/firewalld.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import { runningPrograms } from '../machine/running-programs.ts';
import type { BackendName } from '../policy/settings.ts';
import { readLockRecord } from '../record/lock-record.ts';

/** Another program of this machine that sets packet filters. */
export interface Neighbour {
  readonly name: string;
  /** Its possible effect on this product's rules. */
  readonly does: string;
  /** The command that fixes it. */
  readonly fix: string;
}

interface KnownNeighbour extends Neighbour {
  /** Whether it touches rules of iptables alone. */
  readonly iptablesOnly?: boolean;
  /** Names of its processes (proc(5), comm: at most 15 characters). */
  readonly processes?: readonly string[];
  /** For a neighbour without a process: tells whether it is switched on. */
  readonly isOn?: (host: Host) => boolean;
}

const REPLACES = 'replaces all iptables rules when it starts or reloads';
const SECOND = 'is a kill switch too, and its rules may lock out this VPN';
/** Removes the key whatever its value: a key that stands in the file twice is a mistake. */
const USE_NFTABLES = `sudo sed -i '/^[[:space:]]*\\(export[[:space:]]\\)*[[:space:]]*KILLSWITCH_BACKEND[[:space:]]*=/d' ${PATHS.settings}; echo KILLSWITCH_BACKEND=nftables | sudo tee -a ${PATHS.settings}; sudo ovpn-killswitch lock`;
const stop = (unit: string) => `sudo systemctl disable --now ${unit}`;
/**
 * On an open machine, do not report a service that matters only once a lock makes it load the base.
 */
const mayStart = (host: Host) =>
  host.exists(PATHS.systemd) && readLockRecord(host)?.locked === true;
const isEnabled = (unit: string) => (host: Host) => isUnitEnabled(host, unit);

/** In the order in which they are named. */
const KNOWN: readonly KnownNeighbour[] = [
  ...[
    { name: 'firewalld', does: 'flushes iptables rules when it reloads', processes: ['firewalld'] },
    {
      name: 'firewalld with FirewallBackend=iptables',
      does: 'opens this machine each time it starts, reloads or stops, until "lock" or "watch" acts; beside nftables it does not',
      isOn: firewalldFlushesIptables,
    },
    {
      name: 'ufw',
      does: 'sets chain policies and rules of its own when it starts, stops or reloads',
      isOn: (host: Host) => /^ENABLED=yes/m.test(readAnybodys(host, '/etc/ufw/ufw.conf')),
    },
    {
      name: 'docker',
      does: 'puts its iptables rules above ours when it starts',
      processes: ['dockerd'],
    },
    {
      name: 'libvirt',
      does: 'puts its iptables rules above ours when a network starts',
      processes: ['libvirtd', 'virtnetworkd'],
    },
    {
      name: 'tailscale',
      does: 'puts its iptables rules above ours when it starts',
      processes: ['tailscaled'],
    },
    { name: 'netfilter-persistent', does: REPLACES, isOn: isEnabled('netfilter-persistent') },
    { name: 'shorewall', does: REPLACES, isOn: isEnabled('shorewall') },
    { name: 'ferm', does: REPLACES, isOn: isEnabled('ferm') },
  ].map((each) => ({ ...each, iptablesOnly: true, fix: USE_NFTABLES })),
  {
    name: 'nftables.service',
    does: 'flushes every rule when it starts, reloads or stops',
    isOn: (host) => mayStart(host) && nftablesOpens(host) === true,
    fix: 'sudo ovpn-killswitch lock',
  },
  {
    name: 'nftables.service, which has commands of its own here,',
    does: 'may flush every rule when it starts, reloads or stops',
    isOn: (host) => mayStart(host) && nftablesOpens(host) === 'unknown',
    fix: 'sudo systemctl edit nftables # take its lines Exec… out, then: sudo ovpn-killswitch lock',
  },
  { name: 'Mullvad VPN', does: SECOND, processes: ['mullvad-daemon'], fix: stop('mullvad-daemon') },
  { name: 'NordVPN', does: SECOND, processes: ['nordvpnd'], fix: stop('nordvpnd') },
  { name: 'ExpressVPN', does: SECOND, processes: ['expressvpnd'], fix: stop('expressvpn') },
  { name: 'IVPN', does: SECOND, processes: ['ivpn-service'], fix: stop('ivpn-service') },
  {
    name: 'Windscribe',
    does: SECOND,
    processes: ['windscribe-helper'],
    fix: stop('windscribe-helper'),
  },
  {
    name: 'Proton VPN',
    does: SECOND,
    isOn: (host) =>
      ['pvpnksintrf0', 'ipv6leakintrf0'].some((device) => host.exists(`/sys/class/net/${device}`)),
    fix: "sudo nmcli connection delete pvpn-killswitch # and switch it off in Proton VPN's settings",
  },
  { name: 'Private Internet Access', does: SECOND, processes: ['pia-daemon'], fix: stop('piavpn') },
];

/**
 * Reads the programs that are switched on or run here, and may interfere with rules in this
 * backend.
 */
export function readNeighbours(host: Host, backend: BackendName): readonly Neighbour[] {
  const running = runningPrograms(host);
  return KNOWN.filter(
    ({ iptablesOnly, processes = [], isOn }) =>
      !(iptablesOnly === true && backend === 'nftables') &&
      (isOn?.(host) === true || processes.some((name) => running.has(name.slice(0, 15)))),
  ).map(({ name, does, fix }) => ({ name, does, fix }));
}
