import { asKillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { pinHosts } from '../machine/hosts-file.ts';
import { savedKnown } from '../machine/known-endpoints.ts';
import { type LockRecord, readLockRecord, readWrittenRecord, writeLockRecord } from '../machine/lock-record.ts';
import { type Moment, secondsUntil } from '../machine/moment.ts';
import { adoptTrial, endTrial, forgetTrial } from '../machine/trial.ts';
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

/** What a timed lock or unlock has left for now: the opposite; and a portal whose time is over, which is closed. Before its moment, and without one, nothing. */
export function carryOutDue(host: Host): Due {
  try {
    return host.exclusively(() => dueAlone(host));
  } catch (thrown) {
    const why = asKillswitchError(thrown).message;
    host.log({ level: 'error', event: 'timer', message: `what was due is not done: ${why}. It is tried again in ${AGAIN_SECONDS} s` });
    host.startIn(AGAIN_SECONDS, PATHS.command, ['due']);
    throw thrown;
  }
}

function dueAlone(host: Host): Due {
  const written = readWrittenRecord(host);
  const isOver = (moment: Moment | undefined) => moment !== undefined && secondsUntil(host, moment) === 0;
  if (written !== undefined && isOver(written.trial)) return goBack(host, written);
  if (written === undefined || !isOver(written.until)) {
    if (!isOver(written?.portal?.ends))
      return [written?.until, written?.trial, written?.portal].every((each) => each === undefined) ? 'nothing' : 'waits';
    followAlone(host);
    return 'portal-closed';
  }
  if (written.locked) {
    unlockAlone(host);
    return 'unlocked';
  }
  // With the settings, endpoints and backend of before: nobody is there to answer for a file that has mistakes. The
  // rules before the record, which a full disk refuses: until it is written, the next `due` begins anew.
  followAlone(host);
  endOffloaded(host);
  const { until: _, ...rest } = written;
  writeLockRecord(host, { ...rest, locked: true, since: host.now() });
  return 'locked';
}

/** Takes back a lock on trial. The record goes last: when something fails before, the next `due` begins anew. */
function goBack(host: Host, written: LockRecord): Due {
  endTrial(host);
  followAlone(host);
  pinHosts(host, savedKnown(host)?.pins ?? []);
  const { trial: _, ...lasting } = readWrittenRecord(host) ?? written;
  writeLockRecord(host, lasting);
  forgetTrial(host);
  return 'went-back';
}

/** Makes a timed lock one that lasts. False when none waits. */
export function confirmLock(host: Host): boolean {
  return host.exclusively(() => {
    const record = readLockRecord(host);
    if (record?.locked !== true || (record.until === undefined && record.trial === undefined)) return false;
    if (record.trial !== undefined) {
      // What is kept for the boot is what the kernel has taken; its time must not be over between the two.
      writeLockRecord(host, { ...record, trial: dueIn(host, ADOPT_SECONDS) });
      followAlone(host);
      adoptTrial(host);
    }
    const { until: _, trial: __, ...lasting } = readWrittenRecord(host) ?? record;
    writeLockRecord(host, lasting);
    if (record.trial !== undefined) {
      pinHosts(host, savedKnown(host)?.pins ?? []);
      forgetTrial(host);
    }
    return true;
  });
}
