import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';

/**
 * Exists while br_netfilter is loaded, whether or not it hands frames over
 * (net/bridge/br_netfilter_hooks.c).
 */
const SWITCHES = '/proc/sys/net/bridge';

const TRIAL = '*filter\n-A FORWARD -m physdev --physdev-is-bridged -j ACCEPT\nCOMMIT\n';

/** Whether the kernel can hand a bridge's frames to IP rules. */
export function handsOverFrames(files: Files): boolean {
  return files.exists(SWITCHES);
}

/** Whether the kernel hands them over now, for either family. */
export function showsFrames(files: Files): boolean {
  return ['iptables', 'ip6tables'].some(
    (name) => files.read(`${SWITCHES}/bridge-nf-call-${name}`)?.trim() === '1',
  );
}

/**
 * Whether iptables' rules should tell bridged frames from routed packets. Their match `physdev`
 * loads br_netfilter (physdev_mt_check, net/netfilter/xt_physdev.c), which hands every bridge's
 * frames to everybody's rules. So it is used only where that is loaded already and a trial in a
 * network namespace accepts the match.
 */
export function tellsFrames(host: Host): boolean {
  if (!handsOverFrames(host) || !host.mayChangeRules()) return false;
  const programs = [
    'iptables-restore',
    ...(host.has('ip6tables-restore') && host.exists(PATHS.ipv6) ? ['ip6tables-restore'] : []),
  ];
  return programs.every(
    (program) =>
      host.run({ program: 'unshare', args: ['--net', '--', program, '--noflush'], stdin: TRIAL })
        .status === 0,
  );
}
