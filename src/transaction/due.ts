import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { readLockRecord, readWrittenRecord, writeLockRecord } from '../machine/lock-record.ts';
import { type Moment, momentIn, secondsUntil } from '../machine/moment.ts';
import { followAlone } from './follow.ts';
import { unlockAlone } from './lock.ts';

/** What `due` came to. */
export type Due = 'nothing' | 'waits' | 'locked' | 'unlocked' | 'portal-closed';

/** Seconds after which it is tried again, when it could not be done. */
const AGAIN_SECONDS = 10;

/** A moment from now on which `due` runs: by a timer that outlives this process, its terminal and its session. */
export function dueIn(host: Host, seconds: number): Moment {
  const moment = momentIn(host, seconds);
  host.startIn(seconds, PATHS.command, ['due']);
  return moment;
}

/** What a timed lock or unlock has left for now: the opposite; and a portal whose time is over, which is closed. Before its moment, and without one, nothing. */
export function carryOutDue(host: Host): Due {
  try {
    return host.exclusively(() => dueAlone(host));
  } catch (thrown) {
    host.startIn(AGAIN_SECONDS, PATHS.command, ['due']);
    throw thrown;
  }
}

function dueAlone(host: Host): Due {
  const written = readWrittenRecord(host);
  const isOver = (moment: Moment | undefined) => moment !== undefined && secondsUntil(host, moment) === 0;
  if (written === undefined || !isOver(written.until)) {
    if (!isOver(written?.portal?.ends)) return written?.until === undefined && written?.portal === undefined ? 'nothing' : 'waits';
    followAlone(host);
    return 'portal-closed';
  }
  if (written.locked) {
    unlockAlone(host);
    return 'unlocked';
  }
  const { until: _, ...rest } = written;
  writeLockRecord(host, { ...rest, locked: true, since: host.now() });
  // With the settings, endpoints and backend of before: nobody is there to answer for a file that has mistakes.
  followAlone(host);
  return 'locked';
}

/** Makes a timed lock one that lasts. False when none waits. */
export function confirmLock(host: Host): boolean {
  return host.exclusively(() => {
    const record = readLockRecord(host);
    if (record?.locked !== true || record.until === undefined) return false;
    const { until: _, ...lasting } = record;
    writeLockRecord(host, lasting);
    return true;
  });
}
