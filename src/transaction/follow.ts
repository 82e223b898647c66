import { choose } from '../backend/choose.ts';
import type { Host } from '../host/host.ts';
import { readWorld } from '../machine/world.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { baseOf } from '../policy/policy.ts';
import type { Portal } from '../policy/portal.ts';
import type { BackendName } from '../policy/settings.ts';
import { gatherKnown, savedAccounts, savedKnown } from '../record/known-endpoints.ts';
import { forgetLastTransaction } from '../record/last-transaction.ts';
import {
  type LockRecord,
  readLockRecord,
  readWrittenRecord,
  refusedRecord,
} from '../record/lock-record.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { forgetEndedSessions, hasEndedSession, readSshSessions } from '../record/ssh-sessions.ts';
import { amendRules, type Change } from './amend.ts';
import { type Converged, convergeAlone } from './converge.ts';
import { endingPortal, forgetPortal, type Passed } from './end-portal.ts';
import { type Locked, lockAlone } from './lock.ts';

/** What following the live tunnels came to. */
export type Followed =
  | { readonly kind: 'unlocked' }
  | { readonly kind: 'locked-now'; readonly locked: Locked }
  | { readonly kind: 'followed'; readonly converged: Converged; readonly backend: BackendName };

/**
 * Brings the kernel to the live tunnels, for a hook: with the settings, endpoints and backend of
 * the last `lock`, all read while nobody else changes them. A machine that a human unlocked stays
 * unlocked; one that nobody has decided about is locked. `change` is what the hook has written:
 * then the short way is tried first.
 */
export function follow(host: Host, change?: Change): Followed {
  const amended = change === undefined ? undefined : amend(host, change);
  if (amended !== undefined) return amended;
  return host.exclusively(() => {
    const record = readLockRecord(host);
    if (record === undefined) {
      // A record that is not believed may be of a locked machine: then the connection adds no
      // endpoint.
      const undecided = refusedRecord(host) === undefined;
      const connected =
        undecided && change !== undefined && 'came' in change ? change.came : undefined;
      return { kind: 'locked-now', locked: lockAlone(host, { connected }) };
    }
    if (!record.locked) return { kind: 'unlocked' };
    // Who held the lock before has mostly loaded this tunnel too: then nothing is left to do.
    return (change && amend(host, change)) ?? followAlone(host, record, change);
  });
}

/** What the long way on a locked machine came to. */
type FollowedAlone = Extract<Followed, { kind: 'followed' }>;

/**
 * The long way on a machine that is locked by this record, for a caller that holds the lock. It ends
 * a portal: what went through that is in `passed`.
 */
export function followAlone(
  host: Host,
  record: LockRecord | undefined,
  change?: Change,
): FollowedAlone & { readonly passed: readonly Passed[] | undefined } {
  const added = change !== undefined && 'came' in change ? change.came.tunnel.device : undefined;
  const portal = endingPortal(host);
  const followed = loadAlone(host, record, { added });
  forgetPortal(host, portal);
  return { ...followed, passed: portal?.passed };
}

/**
 * The rules in force by this record, for a caller that holds the lock. `added` names a device whose
 * rules may just be added.
 */
export function loadAlone(
  host: Host,
  record: LockRecord | undefined,
  options: { readonly added?: InterfaceName | undefined; readonly portal?: Portal | undefined },
): FollowedAlone {
  if (hasEndedSession(host)) {
    // First, so that a hook never takes the short way on rules that still have the session's.
    forgetLastTransaction(host);
    forgetEndedSessions(host);
  }
  const settings = settingsInForce(host, record);
  const { backend } = choose(readWorld(host, settings.backend, record));
  const base = baseOf(
    settings,
    savedKnown(host, record) ?? gatherKnown(host, settings, record),
    readSshSessions(host),
  );
  return {
    kind: 'followed',
    converged: convergeAlone(host, backend, base, options),
    backend: backend.name,
  };
}

/** The short way, on a machine whose lock lasts. */
function amend(host: Host, change: Change): Followed | undefined {
  const record = readWrittenRecord(host);
  // Of a portal or a trial, also of one that is over, the rules have to go.
  if (record?.locked !== true || record.term !== undefined || record.portal !== undefined)
    return undefined;
  // The short way adds and removes tunnels alone: the rule of a session that has ended needs the
  // long one.
  if (hasEndedSession(host)) return undefined;
  const settings = settingsInForce(host, record);
  const { backend } = choose(readWorld(host, settings.backend, record));
  const converged = amendRules(
    host,
    backend,
    baseOf(settings, { endpoints: [], ...savedAccounts(host, record) }, readSshSessions(host)),
    change,
  );
  return converged && { kind: 'followed', converged, backend: backend.name };
}
