import { asKillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { secondsUntil } from '../machine/boot-time.ts';
import { pinHosts } from '../record/hosts-file.ts';
import {
  isTermOver,
  type LockRecord,
  lasting,
  opposite,
  readLockRecord,
  readWrittenRecord,
  writeLockRecord,
} from '../record/lock-record.ts';
import { savedKnown } from '../record/saved-known.ts';
import { adoptTrial, endTrial, forgetTrial } from '../record/trial.ts';
import { endOffloaded } from './end-offloaded.ts';
import { followHoldingLock } from './follow.ts';
import { unlockHoldingLock } from './lock.ts';
import { scheduleDue } from './schedule-due.ts';

/** The result of `due`. */
export type Due = 'nothing' | 'waits' | 'locked' | 'unlocked' | 'went-back' | 'portal-closed';

/** Seconds until a failed `due` is tried again. */
const AGAIN_SECONDS = 10;

/** Seconds that a trial still lasts while it is being confirmed. */
const ADOPT_SECONDS = 60;

/**
 * Carries out an expired term: unlocks after a timed lock, locks after a timed unlock, reverts a
 * trial. Also closes an expired portal. Does nothing before the expiry, or without a term.
 */
export function carryOutDue(host: Host): Due {
  try {
    return host.exclusively(() => dueHoldingLock(host));
  } catch (thrown) {
    const why = asKillswitchError(thrown).message;
    host.log({
      level: 'error',
      event: 'timer',
      message: `the due change failed: ${why}. It is tried again in ${AGAIN_SECONDS} s`,
    });
    host.startIn(AGAIN_SECONDS, PATHS.command, ['due']);
    throw thrown;
  }
}

function dueHoldingLock(host: Host): Due {
  const written = readWrittenRecord(host);
  if (written === undefined) return 'nothing';
  if (!isTermOver(host, written)) {
    if (written.portal === undefined || secondsUntil(host, written.portal.ends) > 0)
      return written.term === undefined && written.portal === undefined ? 'nothing' : 'waits';
    followHoldingLock(host, written);
    return 'portal-closed';
  }
  if (written.term?.kind === 'trial') return goBack(host, written);
  if (written.locked) {
    unlockHoldingLock(host);
    return 'unlocked';
  }
  // Uses the previous settings, endpoints and backend: no person is there to fix a mistake in the
  // file. Loads the rules before it writes the record, which a full disk refuses. Until that write
  // the next `due` starts over.
  const locked = opposite(written);
  followHoldingLock(host, locked);
  endOffloaded(host);
  writeLockRecord(host, { ...locked, since: host.now() });
  return 'locked';
}

/**
 * Reverts a lock on trial. Writes the record last: after an earlier failure the next `due` starts
 * over.
 */
function goBack(host: Host, written: LockRecord): Due {
  const previous = lasting(written);
  endTrial(host);
  followHoldingLock(host, previous);
  pinHosts(host, savedKnown(host, previous)?.pins ?? []);
  writeLockRecord(host, lasting(readWrittenRecord(host) ?? written));
  forgetTrial(host);
  return 'went-back';
}

/** Makes a timed lock or a lock on trial last. Returns false when there is none. */
export function confirmLock(host: Host): boolean {
  return host.exclusively(() => {
    const record = readLockRecord(host);
    if (record?.locked !== true || record.term === undefined) return false;
    const onTrial = record.term.kind === 'trial';
    if (onTrial) {
      // Keep for the boot only rules that the kernel has accepted. The trial must not expire in
      // between.
      const longer: LockRecord = {
        ...record,
        term: { kind: 'trial', ends: scheduleDue(host, ADOPT_SECONDS) },
      };
      writeLockRecord(host, longer);
      followHoldingLock(host, longer);
      adoptTrial(host);
    }
    const confirmed = lasting(readWrittenRecord(host) ?? record);
    writeLockRecord(host, confirmed);
    if (onTrial) {
      pinHosts(host, savedKnown(host, confirmed)?.pins ?? []);
      forgetTrial(host);
    }
    return true;
  });
}
