import { chooseBackend } from '../backend/choose-backend.ts';
import type { Host } from '../host/host.ts';
import { readBackendFacts } from '../machine/backend-facts.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { baseOf } from '../policy/policy.ts';
import type { Portal } from '../policy/portal.ts';
import type { BackendName } from '../policy/settings.ts';
import { gatherKnown } from '../record/gather-known.ts';
import { forgetLastTransaction } from '../record/last-transaction.ts';
import {
  type LockRecord,
  readLockRecord,
  readWrittenRecord,
  refusedRecord,
} from '../record/lock-record.ts';
import { savedAccounts, savedKnown } from '../record/saved-known.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { forgetEndedSessions, hasEndedSession, readSshSessions } from '../record/ssh-sessions.ts';
import { amendRules, type Change } from './amend.ts';
import { type Converged, convergeHoldingLock } from './converge.ts';
import { endingPortal, forgetPortal, type Passed } from './end-portal.ts';
import { type Locked, lockHoldingLock } from './lock.ts';

/** The result of following the live tunnels. */
export type Followed =
  | { readonly kind: 'unlocked' }
  | { readonly kind: 'locked-now'; readonly locked: Locked }
  | { readonly kind: 'followed'; readonly converged: Converged; readonly backend: BackendName };

/**
 * Brings the kernel to the live tunnels, for a hook. Uses the last `lock`'s settings, endpoints and
 * backend, read under the lock. A machine that a person unlocked stays unlocked; one without any
 * decision is locked. With `change`, the change that the hook has written, it tries the short way
 * first.
 */
export function follow(host: Host, change?: Change): Followed {
  const amended = change === undefined ? undefined : amend(host, change);
  if (amended !== undefined) return amended;
  return host.exclusively(() => {
    const record = readLockRecord(host);
    if (record === undefined) {
      // A refused record may belong to a locked machine: then the connection adds no endpoint.
      const undecided = refusedRecord(host) === undefined;
      const connected =
        undecided && change !== undefined && 'came' in change ? change.came : undefined;
      return { kind: 'locked-now', locked: lockHoldingLock(host, { connected }) };
    }
    if (!record.locked) return { kind: 'unlocked' };
    // The previous holder of the lock has often loaded this tunnel too: then nothing is left to do.
    return (change && amend(host, change)) ?? followHoldingLock(host, record, change);
  });
}

/** The result of the long way on a locked machine. */
type FollowedRecord = Extract<Followed, { kind: 'followed' }>;

/**
 * The long way on a machine that this record locks. The caller holds the lock. Ends a portal:
 * `passed` is its traffic.
 */
export function followHoldingLock(
  host: Host,
  record: LockRecord | undefined,
  change?: Change,
): FollowedRecord & { readonly passed: readonly Passed[] | undefined } {
  const added = change !== undefined && 'came' in change ? change.came.tunnel.device : undefined;
  const portal = endingPortal(host);
  const followed = loadHoldingLock(host, record, { added });
  forgetPortal(host, portal);
  return { ...followed, passed: portal?.passed };
}

/**
 * Loads the rules in force by this record. The caller holds the lock. `added` names a device whose
 * rules may be added without a reload.
 */
export function loadHoldingLock(
  host: Host,
  record: LockRecord | undefined,
  options: { readonly added?: InterfaceName | undefined; readonly portal?: Portal | undefined },
): FollowedRecord {
  if (hasEndedSession(host)) {
    // First, so that no hook takes the short way on rules that still hold the session's.
    forgetLastTransaction(host);
    forgetEndedSessions(host);
  }
  const settings = settingsInForce(host, record);
  const { backend } = chooseBackend(readBackendFacts(host, settings.backend, record));
  const base = baseOf(
    settings,
    savedKnown(host, record) ?? gatherKnown(host, settings, record),
    readSshSessions(host),
  );
  return {
    kind: 'followed',
    converged: convergeHoldingLock(host, backend, base, options),
    backend: backend.name,
  };
}

/** The short way, on a machine whose lock has no term. */
function amend(host: Host, change: Change): Followed | undefined {
  const record = readWrittenRecord(host);
  // The rules of a portal or a trial, expired ones too, must go.
  if (record?.locked !== true || record.term !== undefined || record.portal !== undefined)
    return undefined;
  // The short way changes only tunnels. An ended session's rule needs the long way.
  if (hasEndedSession(host)) return undefined;
  const settings = settingsInForce(host, record);
  const { backend } = chooseBackend(readBackendFacts(host, settings.backend, record));
  const converged = amendRules(
    host,
    backend,
    baseOf(settings, { endpoints: [], ...savedAccounts(host, record) }, readSshSessions(host)),
    change,
  );
  return converged && { kind: 'followed', converged, backend: backend.name };
}
