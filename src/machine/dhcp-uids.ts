import type { Files } from '../host/files.ts';
import { uidOf } from './account.ts';

/** Accounts of DHCP clients that do not run as root: systemd-networkd(8), dhcpcd(8). */
const DHCP_ACCOUNTS = ['systemd-network', 'dhcpcd', '_dhcpcd'] as const;

/**
 * Whether the account exists in our user namespace (user_namespaces(7)). xt_owner refuses any other
 * with EINVAL.
 */
function isMapped(files: Files, uid: number): boolean {
  const ranges = (files.read('/proc/self/uid_map') ?? '').split('\n').flatMap((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return first === undefined || count === undefined ? [] : [{ first, count }];
  });
  return (
    ranges.length === 0 || ranges.some(({ first, count }) => first <= uid && uid < first + count)
  );
}

/** Returns the accounts of this machine's DHCP clients that a rule can name. */
export function dhcpUids(files: Files): readonly number[] {
  return DHCP_ACCOUNTS.flatMap((account) => uidOf(files, account) ?? []).filter((uid) =>
    isMapped(files, uid),
  );
}
