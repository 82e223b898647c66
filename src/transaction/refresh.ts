import type { Host } from '../host/host.ts';
import { gatherKnown, renewKnown, withNewConnections } from '../record/gather-known.ts';
import { pinHosts } from '../record/hosts-file.ts';
import type { KnownEndpoints } from '../record/known-endpoints.ts';
import { readLiveTunnels } from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { forgetKnown, hostPins, savedKnown, saveKnown } from '../record/saved-known.ts';
import { lockInForce, settingsInForce } from '../record/settings-in-force.ts';
import { keptFolder } from '../record/trial.ts';
import { usedAddresses } from '../record/tunnel-names.ts';
import { askNow } from './ask-names.ts';
import { renewBaseTexts } from './base-texts.ts';
import type { Converged } from './converge.ts';
import { followHoldingLock } from './follow.ts';
import { LOCK_SECONDS } from './lock.ts';

/** Seconds to wait for DNS through a tunnel that may have come up a moment ago. */
const TUNNEL_SECONDS = 30;

/** The result of `refresh`: nothing to resolve, or the pins and rules as they are now. */
export interface Refreshed {
  readonly known: KnownEndpoints | undefined;
  readonly converged: Converged | undefined;
}

/**
 * Keeps the gathered facts of a machine that is still locked, and brings the hosts file and the
 * rules to them. Returns undefined when it is not locked. Facts gathered under another lock, such
 * as one on trial, serve only that lock.
 */
function followKnown(host: Host, asked: KnownEndpoints, lock: string): Converged | undefined {
  return host.exclusively(() => {
    // A person may have unlocked during the DNS query.
    const record = readLockRecord(host);
    if (record?.locked !== true) return undefined;
    const known =
      lockInForce(host, record) === lock
        ? asked
        : gatherKnown(host, settingsInForce(host, record), record);
    saveKnown(host, known, keptFolder(record));
    pinHosts(host, hostPins(host, record, known));
    return followHoldingLock(host, record).converged;
  });
}

/**
 * Reads NetworkManager's connections again, and resolves the names of a locked machine's VPN
 * servers through the tunnel. Pins, endpoints and rules follow. Earlier addresses stay as a
 * fallback. A machine that is not locked has no pins and needs none.
 */
export function refreshMachine(host: Host): Refreshed {
  const record = readLockRecord(host);
  const lock = lockInForce(host, record);
  const saved = savedKnown(host, record);
  if (record?.locked !== true || saved === undefined) return { known: saved, converged: undefined };
  // Before the queries, which may take long: the last connection may have brought
  // other networks.
  renewBaseTexts(host);
  const settings = settingsInForce(host, record);
  const read = withNewConnections(host, settings, saved);
  if (read.named.length === 0 && read.literal.length === saved.literal.length)
    return { known: saved, converged: undefined };
  const known = renewKnown(
    host,
    read,
    askNow(host, settings, TUNNEL_SECONDS),
    usedAddresses(host, settings, readLiveTunnels(host)),
  );
  const converged = followKnown(host, known, lock);
  // A boot must reach the new endpoints too.
  renewBaseTexts(host);
  return { known, converged };
}

/**
 * Reads the profiles again after an `attach`, and resolves names where a resolver can be reached. A
 * locked machine's rules follow, and those for its boot. An open one keeps the answers for its next
 * lock.
 */
export function learnProfiles(host: Host): KnownEndpoints {
  const record = readLockRecord(host);
  const lock = lockInForce(host, record);
  const settings = settingsInForce(host, record);
  const known = gatherKnown(host, settings, record, askNow(host, settings, LOCK_SECONDS));
  // A person may have locked during the DNS query.
  const now = readLockRecord(host);
  if (now?.locked === true) {
    followKnown(host, known, lock);
    renewBaseTexts(host);
  } else host.exclusively(() => saveKnown(host, known, keptFolder(now)));
  return known;
}

/** Opens on a locked machine the remembered networks of a connection that was forgotten. */
export function followForgotten(host: Host): void {
  host.exclusively(() => {
    const record = readLockRecord(host);
    if (record?.locked === true) followHoldingLock(host, record);
  });
  renewBaseTexts(host);
}

/**
 * Reads the profiles again after a `detach`. A locked machine's rules follow. An open one forgets
 * the facts kept for its next lock.
 */
export function unlearnProfiles(host: Host): void {
  const record = readLockRecord(host);
  if (record?.locked === true) {
    const lock = lockInForce(host, record);
    followKnown(host, gatherKnown(host, settingsInForce(host, record), record), lock);
    renewBaseTexts(host);
  } else forgetKnown(host);
}
