import type { Settings } from '../policy/settings.ts';

/** Read by systemd-sysctl, and by the sysctl services of other systems, at each boot. */
export const SYSCTL_FILE = '/etc/sysctl.d/99-ovpn-killswitch.conf';

/**
 * One kernel setting: its path below /proc/sys, as sysctl.d(5) takes it for names with dots too.
 */
export interface Sysctl {
  readonly key: string;
  readonly value: string;
}

/**
 * The kernel settings that fit these settings on a machine with these interfaces. There is no IPv6
 * switch for `KILLSWITCH_IPV6=tunnel`: `all` and `default` would take IPv6 from the tunnel's device
 * too, and one on a network card would take its servers and its LAN; there the rules alone keep
 * IPv6 in (docs/decisions/0031).
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
    // No answer on the LAN for an address of the tunnel: nobody there shall learn it
    // (CVE-2019-14899).
    { key: 'net/ipv4/conf/all/arp_ignore', value: '1' },
    // A mark can lead the client's packets by another route than their answers come: a strict
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
 * The file for sysctl.d(5). Without the leading `-` a setting of an interface that is gone would be
 * an error at each boot.
 */
export function sysctlText(sysctls: readonly Sysctl[]): string {
  const lines = sysctls.map(({ key, value }) => `-${key} = ${value}\n`);
  return `# Written by "ovpn-killswitch boot enable --sysctl"; "ovpn-killswitch boot disable" takes it away and gives the old values back.\n${lines.join('')}`;
}

/** What such a file sets. */
export function parseSysctls(text: string): readonly Sysctl[] {
  return [...text.matchAll(/^-(net\/\S+) = (\S+)$/gm)].map(([, key = '', value = '']) => ({
    key,
    value,
  }));
}

/** A setting's value before ours. */
export interface Kept extends Sysctl {
  readonly before: string;
}

/** Lines of `KEY OURS BEFORE`, as the script `recover` reads them. */
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
 * What must be given back: values of `now`, unless an earlier run has changed them already, then
 * those that it found (`earlier`).
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
