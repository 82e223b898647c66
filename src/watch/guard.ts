import { choose } from '../backend/choose.ts';
import { type Difference, differencesOf, type Image, sameReasons } from '../backend/image.ts';
import { describeResolvers } from '../dns/describe-resolvers.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { hasEnded } from '../machine/daemon.ts';
import { readWorld } from '../machine/world.ts';
import { readFormerRecords, staleFormers } from '../record/former-tunnels.ts';
import { gatherKnown, savedKnown } from '../record/known-endpoints.ts';
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
import { settingsInForce } from '../record/settings-in-force.ts';
import { hasEndedSession } from '../record/ssh-sessions.ts';
import { look } from '../transaction/apply.ts';
import { endOffloaded } from '../transaction/end-offloaded.ts';
import { followAlone } from '../transaction/follow.ts';
import { intend } from '../transaction/intend.ts';

/**
 * What a look at the machine came to. `busy`: a hook has written its tunnel and not yet loaded its
 * rules.
 */
export type Guarded =
  | { readonly kind: 'unlocked' | 'exact' | 'busy' }
  | {
      readonly kind: 'restored';
      readonly differences: readonly Difference[];
      /** Devices of tunnels that were gone. */
      readonly gone: readonly string[];
      /** What differs even now in words alone: those of a newer tool, see `apply`. */
      readonly spelling: readonly Difference[];
    };

export interface GuardOptions {
  /** Whether a hook that is in the middle of its own change is let finish. */
  readonly patient: boolean;
  /** What differed in words alone after the last time everything was put right. */
  readonly spelling: readonly Difference[];
}

interface Images {
  readonly expected: Image;
  readonly found: Image;
}

function readImages(host: Host, record: LockRecord | undefined): Images {
  const settings = settingsInForce(host, record);
  const { backend } = choose(readWorld(host, settings.backend, record));
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
 * Somebody may have changed rules again meanwhile: such a difference must not pass for one of
 * words.
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

/** OpenVPN closes its device and then calls `down`: while it runs, that hook is on its way. */
function isEnding(host: Host, { daemon }: LiveTunnel): boolean {
  return daemon !== undefined && !hasEnded(host, daemon);
}

/**
 * Looks whether the kernel holds what it should, and puts it right when it does not: rules that
 * somebody took away, added or moved, and those of tunnels that are gone. A machine that is not
 * locked is left alone.
 * @throws KillswitchError when the rules could not be read or put right.
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
      followAlone(host, record);
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
    // Somebody may have unlocked while we waited.
    const record = readLockRecord(host);
    if (record?.locked !== true) return { kind: 'unlocked' };
    // Or have opened a portal, which following would end.
    if (
      openPortalOf(host, record) !== undefined &&
      gone.length === 0 &&
      isExact(readImages(host, record))
    )
      return { kind: 'exact' };
    const { applied } = followAlone(host, record).converged;
    // Somebody else was faster.
    if (applied === 'unchanged' && gone.length === 0) return { kind: 'exact' };
    endOffloaded(host);
    return { kind: 'restored', differences, gone, spelling: spellingNow(host) };
  });
}

/**
 * Gives the resolvers of tunnels that are gone back, and sets those of live ones; says when it did
 * something.
 */
export function guardResolvers(host: Host): void {
  const followed = followResolversOrSay(host);
  if (followed instanceof KillswitchError || followed.kind === 'unchanged') return;
  host.log({ level: 'info', event: 'resolvers', message: describeResolvers(followed) });
}
