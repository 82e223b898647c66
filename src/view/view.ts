import { type BootReport, readBoot } from '../boot/boot-report.ts';
import { describeResolvers } from '../dns/describe-resolvers.ts';
import {
  followResolversOrSay,
  type ResolverState,
  readResolvers,
} from '../dns/follow-resolvers.ts';
import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { secondsUntil } from '../machine/boot-time.ts';
import { type Learner, learner } from '../machine/learner.ts';
import type { Portal } from '../policy/portal.ts';
import { defaultSettings } from '../policy/settings.ts';
import { type RefusedFile, refusedTunnels } from '../record/live-tunnels.ts';
import {
  LOCK_RECORD,
  type LockRecord,
  readLockRecord,
  refusedRecord,
} from '../record/lock-record.ts';
import type { Pin } from '../record/pins.ts';
import { savedPins } from '../record/saved-known.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { type Passed, passedOf } from '../transaction/end-portal.ts';
import { lookOrSay } from '../transaction/look-or-say.ts';
import { readWatch, type WatchReport } from '../watch/watch-report.ts';
import { type Connection, NO_CONNECTION, readConnection } from './connection.ts';
import { type Drops, readDrops } from './drops.ts';
import { type Neighbour, readNeighbours } from './neighbours.ts';
import { type Report, readReport } from './report.ts';

/** All that `status` shows, in any form. */
export interface View {
  /** Seconds since 1970. */
  readonly now: number;
  readonly report: Report;
  /** Seconds until a timed lock or unlock expires; undefined when it lasts. */
  readonly turnsIn: number | undefined;
  /** Seconds until a lock on trial reverts to the previous one; undefined when none is on trial. */
  readonly goesBackIn: number | undefined;
  /**
   * The open portal, the seconds until it closes, and the packets that have passed it; undefined
   * when none is open.
   */
  readonly portal:
    | { readonly portal: Portal; readonly closesIn: number; readonly passed: readonly Passed[] }
    | undefined;
  /** The names of VPN servers and their addresses. */
  readonly pins: readonly Pin[];
  /** Undefined where it could not be read, like the two below. */
  readonly resolvers: ResolverState | undefined;
  /** How DNS was restored while this was read; undefined when it was not. */
  readonly givenBack: string | undefined;
  readonly boot: BootReport | undefined;
  readonly watch: WatchReport | undefined;
  readonly drops: Drops;
  readonly connection: Connection;
  readonly neighbours: readonly Neighbour[];
  /** Files of state that are not believed, and why. */
  readonly refused: readonly RefusedFile[];
  /** One line for each part that could not be read, and why, escaped. */
  readonly unknown: readonly string[];
}

/** Reads every part that can be read: a full, damaged or hanging one hides no other. */
export function readView(host: Host): View {
  const { report, unknown: uncompared } = readSettled(host);
  const { learn, unknown } = learner();
  const givenBack = learn(() => giveBackResolvers(host, report), undefined);
  const parts = {
    now: host.now(),
    report,
    turnsIn: secondsLeft(host, report.record, 'timed'),
    goesBackIn: secondsLeft(host, report.record, 'trial'),
    portal: learn(() => readPortal(host, report), undefined),
    pins: learn(() => savedPins(host, report.record), []),
    resolvers: learn(() => readResolvers(host, true), undefined),
    givenBack,
    boot: learn(() => readBoot(host), undefined),
    watch: learn(() => readWatch(host), undefined),
    connection: learn(() => readConnection(host, report), NO_CONNECTION),
    drops: readDrops(host, report.found.image),
    neighbours: learn(() => readNeighbours(host, report.choice.backend.name), []),
    refused: learn(() => readRefused(host), []),
  };
  return {
    ...parts,
    unknown: [
      ...new Set([
        ...(report.unread === undefined ? [] : [report.unread]),
        ...uncompared,
        ...unknown,
      ]),
    ],
  };
}

function readRefused(host: Host): readonly RefusedFile[] {
  const why = refusedRecord(host);
  return [...(why === undefined ? [] : [{ path: LOCK_RECORD, why }]), ...refusedTunnels(host)];
}

function secondsLeft(
  files: Files,
  record: LockRecord | undefined,
  kind: 'timed' | 'trial',
): number | undefined {
  return record?.term?.kind === kind ? Math.ceil(secondsUntil(files, record.term.ends)) : undefined;
}

interface Learnt {
  readonly report: Report;
  /** Why the rules could not be compared with the intended ones. */
  readonly unknown: readonly string[];
}

function read(host: Host): Learnt {
  const reader: Learner = learner();
  const record = readLockRecord(host);
  const settings = reader.learn(() => settingsInForce(host, record), defaultSettings());
  const report = readReport(host, settings, record, lookOrSay(host), reader);
  return { report, unknown: reader.unknown };
}

function readPortal(
  files: Files,
  { intended: { policy }, record, choice, found }: Report,
): View['portal'] {
  if (policy.state !== 'portal' || record?.portal === undefined) return undefined;
  const { portal } = policy;
  return {
    portal,
    closesIn: Math.ceil(secondsUntil(files, record.portal.ends)),
    passed: passedOf(choice.backend, found.image, portal),
  };
}

/**
 * Reads the report, and reads differences again while no other process changes anything: a hook may
 * be in the middle of its change.
 */
function readSettled(host: Host): Learnt {
  const learnt = read(host);
  // A part that could not be read once may have hung.
  if (learnt.report.exact || learnt.report.unread !== undefined) return learnt;
  try {
    return host.exclusively(() => read(host));
  } catch (thrown) {
    // Another process has the lock, or its file cannot be written.
    if (thrown instanceof KillswitchError) return learnt;
    throw thrown;
  }
}

/** Restores the resolvers that tunnels left behind when they went; repairs nothing else here. */
function giveBackResolvers(host: Host, { stale, intended }: Report): string | undefined {
  if (stale.length < intended.live.length) return undefined;
  const followed = followResolversOrSay(host);
  return followed instanceof KillswitchError || followed.kind === 'unchanged'
    ? undefined
    : describeResolvers(followed);
}
