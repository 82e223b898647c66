import { type BootReport, readBoot } from '../boot/boot-report.ts';
import { describeResolvers } from '../dns/describe-resolvers.ts';
import { followResolversOrSay, type ResolverState, readResolvers } from '../dns/follow-resolvers.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { savedPins } from '../machine/known-endpoints.ts';
import { type RefusedFile, refusedTunnels } from '../machine/live-tunnels.ts';
import { LOCK_RECORD, type LockRecord, refusedRecord } from '../machine/lock-record.ts';
import { secondsUntil } from '../machine/moment.ts';
import type { Pin } from '../machine/pins.ts';
import { type Report, readReport } from '../machine/report.ts';
import { settingsInForce } from '../machine/settings-in-force.ts';
import type { Portal } from '../policy/portal.ts';
import { lookIfItWorks } from '../transaction/apply.ts';
import { type Passed, passedOf } from '../transaction/end-portal.ts';
import { readWatch, type WatchReport } from '../watch/watch-report.ts';
import { type Drops, readDrops } from './drops.ts';
import { type Neighbour, readNeighbours } from './neighbours.ts';

/** All that `status` shows, however it shows it. */
export interface View {
  /** Seconds since 1970. */
  readonly now: number;
  readonly report: Report;
  /** Seconds until the opposite holds, of a timed lock or unlock; undefined when it lasts. */
  readonly turnsIn: number | undefined;
  /** Seconds until a lock on trial goes back to the one before; undefined when none is. */
  readonly goesBackIn: number | undefined;
  /** The portal that is open, the seconds until it closes, and what has passed it; undefined when none is. */
  readonly portal: { readonly portal: Portal; readonly closesIn: number; readonly passed: readonly Passed[] } | undefined;
  /** The names of VPN servers and what they stand for. */
  readonly pins: readonly Pin[];
  readonly resolvers: ResolverState;
  /** What was given back of DNS while this was read; undefined when nothing was. */
  readonly givenBack: string | undefined;
  readonly boot: BootReport;
  readonly watch: WatchReport;
  readonly drops: Drops;
  readonly neighbours: readonly Neighbour[];
  /** State that is not believed, and why. */
  readonly refused: readonly RefusedFile[];
}

export function readView(host: Host): View {
  const report = readSettled(host);
  const givenBack = giveBackResolvers(host, report);
  return {
    now: host.now(),
    report,
    turnsIn: secondsLeft(host, report.record, 'timed'),
    goesBackIn: secondsLeft(host, report.record, 'trial'),
    portal: readPortal(host, report),
    pins: savedPins(host),
    resolvers: readResolvers(host, true),
    givenBack,
    boot: readBoot(host),
    watch: readWatch(host),
    drops: readDrops(host, report.found.image),
    neighbours: readNeighbours(host, report.choice.backend.name),
    refused: readRefused(host),
  };
}

function readRefused(host: Host): readonly RefusedFile[] {
  const why = refusedRecord(host);
  return [...(why === undefined ? [] : [{ path: LOCK_RECORD, why }]), ...refusedTunnels(host)];
}

function secondsLeft(host: Host, record: LockRecord | undefined, kind: 'timed' | 'trial'): number | undefined {
  return record?.term?.kind === kind ? Math.ceil(secondsUntil(host, record.term.ends)) : undefined;
}

function read(host: Host): Report {
  return readReport(host, settingsInForce(host), (backend) => lookIfItWorks(host, backend));
}

function readPortal(host: Host, { intended: { policy }, record, choice, found }: Report): View['portal'] {
  if (policy.state !== 'portal' || record?.portal === undefined) return undefined;
  const { portal } = policy;
  return {
    portal,
    closesIn: Math.ceil(secondsUntil(host, record.portal.ends)),
    passed: passedOf(choice.backend, found.image, portal),
  };
}

/** A hook may be in the middle of its change: what is not as it should be is read again when nobody changes anything. */
function readSettled(host: Host): Report {
  const report = read(host);
  if (report.exact) return report;
  try {
    return host.exclusively(() => read(host));
  } catch (thrown) {
    if (thrown instanceof KillswitchError && thrown.code === 'BUSY') return report;
    throw thrown;
  }
}

/** What tunnels that are gone left behind of DNS is given back; nothing else is repaired here. */
function giveBackResolvers(host: Host, { stale, intended }: Report): string | undefined {
  if (stale.length < intended.live.length) return undefined;
  const followed = followResolversOrSay(host);
  return followed instanceof KillswitchError || followed.kind === 'unchanged' ? undefined : describeResolvers(followed);
}
