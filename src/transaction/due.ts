import { asKillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { secondsUntil } from '../machine/moment.ts';
import { pinHosts } from '../record/hosts-file.ts';
import { savedKnown } from '../record/known-endpoints.ts';
import {
  isTermOver,
  type LockRecord,
  lasting,
  opposite,
  readLockRecord,
  readWrittenRecord,
  writeLockRecord,
} from '../record/lock-record.ts';
import { adoptTrial, endTrial, forgetTrial } from '../record/trial.ts';
import { dueIn } from './due-in.ts';
import { endOffloaded } from './end-offloaded.ts';
import { followAlone } from './follow.ts';
import { unlockAlone } from './lock.ts';

/** What `due` came to. */
export type Due = 'nothing' | 'waits' | 'locked' | 'unlocked' | 'went-back' | 'portal-closed';

/** Seconds after which it is tried again, when it could not be done. */
const AGAIN_SECONDS = 10;

/** A trial that is being confirmed lasts so long at least. */
const ADOPT_SECONDS = 60;

/**
 * What a timed lock or unlock has left for now: the opposite; and a portal whose time is over,
 * which is closed. Before its moment, and without one, nothing.
 */
export function carryOutDue(host: Host): Due {
  try {
    return host.exclusively(() => dueAlone(host));
  } catch (thrown) {
    const why = asKillswitchError(thrown).message;
    host.log({
      level: 'error',
      event: 'timer',
      message: `what was due is not done: ${why}. It is tried again in ${AGAIN_SECONDS} s`,
    });
    host.startIn(AGAIN_SECONDS, PATHS.command, ['due']);
    throw thrown;
  }
}

function dueAlone(host: Host): Due {
  const written = readWrittenRecord(host);
  if (written === undefined) return 'nothing';
  if (!isTermOver(host, written)) {
    if (written.portal === undefined || secondsUntil(host, written.portal.ends) > 0)
      return written.term === undefined && written.portal === undefined ? 'nothing' : 'waits';
    followAlone(host, written);
    return 'portal-closed';
  }
  if (written.term?.kind === 'trial') return goBack(host, written);
  if (written.locked) {
    unlockAlone(host);
    return 'unlocked';
  }
  // With the settings, endpoints and backend of before: nobody is there to answer for a file that
  // has mistakes. The rules before the record, which a full disk refuses: until it is written, the
  // next `due` begins anew.
  const locked = opposite(written);
  followAlone(host, locked);
  endOffloaded(host);
  writeLockRecord(host, { ...locked, since: host.now() });
  return 'locked';
}

/**
 * Takes back a lock on trial. The record goes last: when something fails before, the next `due`
 * begins anew.
 */
function goBack(host: Host, written: LockRecord): Due {
  const previous = lasting(written);
  endTrial(host);
  followAlone(host, previous);
  pinHosts(host, savedKnown(host, previous)?.pins ?? []);
  writeLockRecord(host, lasting(readWrittenRecord(host) ?? written));
  forgetTrial(host);
  return 'went-back';
}

/** Makes a timed lock one that lasts. False when none waits. */
export function confirmLock(host: Host): boolean {
  return host.exclusively(() => {
    const record = readLockRecord(host);
    if (record?.locked !== true || record.term === undefined) return false;
    const onTrial = record.term.kind === 'trial';
    if (onTrial) {
      // What is kept for the boot is what the kernel has taken; its time must not be over between
      // the two.
      const longer: LockRecord = {
        ...record,
        term: { kind: 'trial', ends: dueIn(host, ADOPT_SECONDS) },
      };
      writeLockRecord(host, longer);
      followAlone(host, longer);
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
