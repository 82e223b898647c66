import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Policy } from '../policy/policy.ts';
import type { Portal } from '../policy/portal.ts';
import { readLiveTunnels, staleTunnels } from '../record/live-tunnels.ts';
import { type LockRecord, readLockRecord, writeLockRecord } from '../record/lock-record.ts';
import type { Passed } from './end-portal.ts';
import { followHoldingLock, loadHoldingLock } from './follow.ts';
import { scheduleDue } from './schedule-due.ts';

/** @throws KillswitchError NO_PORTAL unless this machine is locked and no tunnel is live. */
export function refuseUnlessBlocked(host: Host): void {
  if (readLockRecord(host)?.locked !== true)
    throw new KillswitchError(
      'NO_PORTAL',
      'this machine is not locked, so a login page opens without a portal',
      'Open the login page in a browser.',
    );
  const live = readLiveTunnels(host);
  const gone = staleTunnels(host, live);
  const connected = live.find((each) => !gone.includes(each));
  if (connected !== undefined)
    throw new KillswitchError(
      'NO_PORTAL',
      `${connected.tunnel.device} is live: beside a tunnel there is no portal`,
      'Stop the VPN, then run "ovpn-killswitch portal" again.',
    );
}

/**
 * Loads a portal and returns the resulting state. On a throw it closes the portal, since rules may
 * have been loaded. While they stay, the record says so.
 */
function loadOrClose(host: Host, record: LockRecord, portal: Portal): Policy['state'] {
  try {
    return loadHoldingLock(host, record, { portal }).converged.policy.state;
  } catch (thrown) {
    try {
      followHoldingLock(host, record);
    } catch {
      // The first failure says more. `due` tries again.
    }
    throw thrown;
  }
}

/**
 * Opens a portal for so many seconds, and replaces an open one. The kernel's own clock ends it,
 * whatever process dies. `due`, each hook, `lock` and `unlock` remove it, and a reboot never loads
 * it.
 * @throws KillswitchError NO_PORTAL, or an error of loading rules; then none is open.
 */
export function openPortal(
  host: Host,
  place: Omit<Portal, 'from' | 'until'>,
  seconds: number,
): Portal {
  return host.exclusively(() => {
    refuseUnlessBlocked(host);
    const ends = scheduleDue(host, seconds);
    const from = host.now();
    const portal: Portal = { ...place, from, until: from + seconds };
    const before = readLockRecord(host);
    if (before?.portal !== undefined) followHoldingLock(host, before);
    const record = readLockRecord(host);
    if (record?.locked !== true)
      throw new KillswitchError(
        'INTERNAL',
        'the record of the lock is gone',
        'Run "ovpn-killswitch lock".',
      );
    const opened: LockRecord = { ...record, portal: { portal, ends } };
    writeLockRecord(host, opened);
    if (loadOrClose(host, opened, portal) !== 'portal') {
      followHoldingLock(host, opened);
      throw new KillswitchError(
        'NO_PORTAL',
        'a tunnel came up meanwhile: beside it there is no portal',
        'Stop the VPN, then run "ovpn-killswitch portal" again.',
      );
    }
    return portal;
  });
}

/** Closes the portal. Returns its traffic, or undefined when there was none. */
export function closePortal(host: Host): readonly Passed[] | undefined {
  return host.exclusively(() => {
    const record = readLockRecord(host);
    return record?.portal === undefined ? undefined : followHoldingLock(host, record).passed;
  });
}
