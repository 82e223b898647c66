import type { Difference } from '../backend/image.ts';
import { followNftables, HASTE_MILLISECONDS } from '../boot/follow-nftables.ts';
import type { Host } from '../host/host.ts';
import { type LockRecord, readLockRecord } from '../record/lock-record.ts';
import { differenceLines } from '../transaction/apply.ts';
import { authorsText } from './author.ts';
import { type Guarded, guard } from './guard.ts';
import type { HeardAuthors } from './heard-authors.ts';
import { PACE } from './pace.ts';

type Restored = Extract<Guarded, { kind: 'restored' }>;

function restoredText({ differences, gone }: Restored, heard: HeardAuthors): string {
  if (differences.length === 0) return `the rules of ${gone.join(', ')} went with it`;
  return `restored the rules that were changed by ${authorsText(heard.list())}: ${differenceLines(differences, 3).join('; ')}`;
}

/**
 * Counts the changes that one transaction makes: iptables commits each table of each family by
 * itself.
 */
function commits(record: LockRecord | undefined): number {
  if (record?.backend === 'nftables') return 1;
  return record?.wall === true ? 4 : 2;
}

/** Logs what was fixed, and updates nftables.service. */
function sayRestored(host: Host, restored: Restored, heard: HeardAuthors): void {
  const { differences, gone } = restored;
  host.log({
    level: 'warn',
    event: 'restored',
    message: restoredText(restored, heard),
    fields: { authors: heard.list(), differences: differences.slice(0, 20), gone },
  });
  followNftables(host, HASTE_MILLISECONDS);
}

/**
 * Returns a function that looks at the rules and fixes them. It lets a hook at work finish, within
 * a limit: meanwhile the look is `busy`, and changes nothing.
 */
export function rulesGuard(host: Host, heard: HeardAuthors): () => Guarded['kind'] {
  let spelling: readonly Difference[] = [];
  let busySince: number | undefined;
  return () => {
    const patient = busySince === undefined || performance.now() - busySince < PACE.busyMost;
    const guarded = guard(host, { patient, spelling });
    if (guarded.kind === 'busy') {
      busySince ??= performance.now();
      return 'busy';
    }
    busySince = undefined;
    if (guarded.kind === 'restored') {
      spelling = guarded.spelling;
      heard.expectOwn(commits(readLockRecord(host)));
      sayRestored(host, guarded, heard);
    } else heard.expectOwn(0);
    heard.forget();
    return guarded.kind;
  };
}
