import type { Settings } from '../policy/settings.ts';

/** Read by systemd-sysctl, and by the sysctl services of other systems, at each boot. */
export const SYSCTL_FILE = '/etc/sysctl.d/99-ovpn-killswitch.conf';

/**
 * One kernel setting. `key` is its path below /proc/sys, which sysctl.d(5) also takes for names
 * with dots.
 */
export interface Sysctl {
  readonly key: string;
  readonly value: string;
}

/**
 * Returns the kernel settings that fit these settings on a machine with these interfaces. There is
 * no IPv6 switch for `KILLSWITCH_IPV6=tunnel`: `all` and `default` would take IPv6 from the
 * tunnel's device too. One on a network card would cut it off from its servers and its LAN. There
 * the rules alone keep IPv6 in (docs/decisions/0031).
 */
export function sysctlsOf(settings: Settings, devices: readonly string[]): readonly Sysctl[] {
  const cards = devices.filter((device) => device !== 'lo');
  return [
    ...(settings.ipv6 === 'block'
      ? ['all', 'default', 'lo', ...cards].map((name) => ({
          key: `net/ipv6/conf/${name}/disable_ipv6`,
          value: '1',
        }))
      : []),
    // No answer on the LAN for an address of the tunnel: a neighbour must not learn it
    // (CVE-2019-14899).
    { key: 'net/ipv4/conf/all/arp_ignore', value: '1' },
    // A mark can lead the client's packets by another route than their answers take: a strict
    // reverse path filter would drop those.
    ...(settings.endpointOwner.kind === 'mark'
      ? [
          { key: 'net/ipv4/conf/all/src_valid_mark', value: '1' },
          { key: 'net/ipv4/conf/all/rp_filter', value: '2' },
        ]
      : []),
    ...(settings.forward.length > 0 ? [{ key: 'net/ipv4/ip_forward', value: '1' }] : []),
  ];
}

/**
 * Renders the file for sysctl.d(5). Without the leading `-`, a setting of an interface that is gone
 * would be an error at each boot.
 */
export function sysctlText(sysctls: readonly Sysctl[]): string {
  const lines = sysctls.map(({ key, value }) => `-${key} = ${value}\n`);
  return `# Written by "ovpn-killswitch boot enable --sysctl"; "ovpn-killswitch boot disable" removes it and restores the old values.\n${lines.join('')}`;
}

/** Reads the kernel settings that such a file sets. */
export function parseSysctls(text: string): readonly Sysctl[] {
  return [...text.matchAll(/^-(net\/\S+) = (\S+)$/gm)].map(([, key = '', value = '']) => ({
    key,
    value,
  }));
}

/** A kernel setting with its previous value. */
export interface Kept extends Sysctl {
  readonly before: string;
}

/** Writes lines of `KEY OURS BEFORE`, as the script `recover` reads them. */
export function keptText(kept: readonly Kept[]): string {
  return kept.map(({ key, value, before }) => `${key} ${value} ${before}\n`).join('');
}

function parseKept(text: string): readonly Kept[] {
  return text.split('\n').flatMap((line) => {
    const [key, value, before] = line.split(' ');
    return key === undefined || value === undefined || before === undefined
      ? []
      : [{ key, value, before }];
  });
}

/**
 * Switching forwarding on or off also writes this one (net/ipv4/devinet.c, inet_forward_change).
 */
const FOLLOWS_FORWARDING: Sysctl = { key: 'net/ipv4/conf/all/accept_redirects', value: '0' };

/**
 * Returns the values that must be restored: those of `now`, or those that an earlier run found
 * (`earlier`) before it changed them.
 */
export function keepValues(
  sysctls: readonly Sysctl[],
  earlier: string,
  now: (key: string) => string | undefined,
): readonly Kept[] {
  const old = parseKept(earlier);
  const follows = sysctls.some(({ key }) => key === 'net/ipv4/ip_forward')
    ? [FOLLOWS_FORWARDING]
    : [];
  const fresh = [...sysctls, ...follows].flatMap(({ key, value }) => {
    const before = now(key);
    return before === undefined || old.some((each) => each.key === key)
      ? []
      : [{ key, value, before }];
  });
  return [...old, ...fresh];
}
