import { chooseBackend } from '../backend/choose-backend.ts';
import { type Difference, differencesOf, type Image, sameReasons } from '../backend/image.ts';
import { describeResolvers } from '../dns/describe-resolvers.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { readBackendFacts } from '../machine/backend-facts.ts';
import { hasEnded } from '../machine/daemon.ts';
import { readFormerRecords, staleFormers } from '../record/former-tunnels.ts';
import { gatherKnown } from '../record/gather-known.ts';
import { readLastTransaction } from '../record/last-transaction.ts';
import {
  type LiveTunnel,
  liveTunnelKey,
  readLiveTunnels,
  staleTunnels,
} from '../record/live-tunnels.ts';
import {
  LOCK_RECORD,
  type LockRecord,
  openPortalOf,
  readLockRecord,
  refusedRecord,
} from '../record/lock-record.ts';
import { savedKnown } from '../record/saved-known.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { hasEndedSession } from '../record/ssh-sessions.ts';
import { look } from '../transaction/apply.ts';
import { endOffloaded } from '../transaction/end-offloaded.ts';
import { followHoldingLock } from '../transaction/follow.ts';
import { intend } from '../transaction/intend.ts';

/**
 * The result of a look at the machine. `busy`: a hook has written its tunnel and not yet loaded its
 * rules.
 */
export type Guarded =
  | { readonly kind: 'unlocked' | 'exact' | 'busy' }
  | {
      readonly kind: 'restored';
      readonly differences: readonly Difference[];
      /** Devices of tunnels that were gone. */
      readonly gone: readonly string[];
      /** Differences that remain in wording alone: those of a newer tool, see `apply`. */
      readonly spelling: readonly Difference[];
    };

export interface GuardOptions {
  /** Whether to let a hook in the middle of its own change finish. */
  readonly patient: boolean;
  /** Differences in wording alone that remained after the last complete fix. */
  readonly spelling: readonly Difference[];
}

interface Images {
  readonly expected: Image;
  readonly found: Image;
}

function readImages(host: Host, record: LockRecord | undefined): Images {
  const settings = settingsInForce(host, record);
  const { backend } = chooseBackend(readBackendFacts(host, settings.backend, record));
  const known = savedKnown(host, record) ?? gatherKnown(host, settings, record);
  return {
    expected: backend.image(intend(host, settings, known, record).ruleset),
    found: look(host, backend).image,
  };
}

function isExact({ expected, found }: Images): boolean {
  return differencesOf(expected, found).length === 0;
}

/**
 * Reads the differences in wording that remain. Another program may have changed rules meanwhile:
 * such a difference must not count as wording.
 */
function spellingNow(host: Host): readonly Difference[] {
  const { expected, found } = readImages(host, readLockRecord(host));
  return sameReasons(expected, found) ? differencesOf(expected, found) : [];
}

function hookAtWork(host: Host): boolean {
  const last = readLastTransaction(host);
  const live = readLiveTunnels(host).map(liveTunnelKey);
  return (
    last !== undefined &&
    (last.tunnels.length !== live.length || live.some((each) => !last.tunnels.includes(each)))
  );
}

/**
 * Tells whether `down` is still to run: OpenVPN closes its device and then calls it, as long as
 * OpenVPN lives.
 */
function isEnding(files: Files, { daemon }: LiveTunnel): boolean {
  return daemon !== undefined && !hasEnded(files, daemon);
}

/**
 * Compares the kernel's rules with the intended ones, and fixes them: rules that were removed,
 * added or moved, and those of tunnels that are gone. Leaves an unlocked machine alone.
 * @throws KillswitchError when the rules could not be read or fixed.
 */
export function guard(host: Host, { patient, spelling }: GuardOptions): Guarded {
  const refused = refusedRecord(host);
  if (refused !== undefined)
    throw new KillswitchError(
      'FILES',
      `${LOCK_RECORD} is not believed: ${refused}`,
      'Run "ovpn-killswitch lock", which writes it anew.',
    );
  const before = readLockRecord(host);
  if (before?.locked !== true) return { kind: 'unlocked' };
  if (hasEndedSession(host))
    return host.exclusively((): Guarded => {
      const record = readLockRecord(host);
      if (record?.locked !== true) return { kind: 'unlocked' };
      followHoldingLock(host, record);
      return {
        kind: 'restored',
        differences: [],
        gone: ['an SSH session that has ended'],
        spelling: spellingNow(host),
      };
    });
  const { expected, found } = readImages(host, before);
  const differences = differencesOf(expected, found);
  const stale = staleTunnels(host, readLiveTunnels(host));
  const gone = [...stale, ...staleFormers(host, readFormerRecords(host))].map(
    ({ tunnel }) => tunnel.device,
  );
  const exact =
    differences.length === 0 || JSON.stringify(differences) === JSON.stringify(spelling);
  if (exact && gone.length === 0) return { kind: 'exact' };
  if (patient && (hookAtWork(host) || stale.some((each) => isEnding(host, each))))
    return { kind: 'busy' };
  return host.exclusively((): Guarded => {
    // An `unlock` may have run while this waited.
    const record = readLockRecord(host);
    if (record?.locked !== true) return { kind: 'unlocked' };
    // Or a `portal` may have opened, which following would end.
    if (
      openPortalOf(host, record) !== undefined &&
      gone.length === 0 &&
      isExact(readImages(host, record))
    )
      return { kind: 'exact' };
    const { applied } = followHoldingLock(host, record).converged;
    // Another process fixed it first.
    if (applied === 'unchanged' && gone.length === 0) return { kind: 'exact' };
    endOffloaded(host);
    return { kind: 'restored', differences, gone, spelling: spellingNow(host) };
  });
}

/**
 * Restores the resolvers of tunnels that are gone, and sets those of live ones. Logs when it did
 * something.
 */
export function guardResolvers(host: Host): void {
  const followed = followResolversOrSay(host);
  if (followed instanceof KillswitchError || followed.kind === 'unchanged') return;
  host.log({ level: 'info', event: 'resolvers', message: describeResolvers(followed) });
}
