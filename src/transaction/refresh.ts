import type { Host } from '../host/host.ts';
import { pinHosts } from '../record/hosts-file.ts';
import {
  forgetKnown,
  type Gathered,
  gatherKnown,
  hostPins,
  renewKnown,
  savedKnown,
  saveKnown,
  withNewConnections,
} from '../record/known-endpoints.ts';
import { readLiveTunnels } from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { lockInForce, settingsInForce } from '../record/settings-in-force.ts';
import { keptFolder } from '../record/trial.ts';
import { usedAddresses } from '../record/tunnel-names.ts';
import { askNow } from './ask-names.ts';
import { renewBaseTexts } from './base-texts.ts';
import type { Converged } from './converge.ts';
import { followAlone } from './follow.ts';
import { LOCK_SECONDS } from './lock.ts';

/** Seconds to wait for DNS through a tunnel that may only just have come up. */
const TUNNEL_SECONDS = 30;

/** What `refresh` came to: nothing to ask for, or the pins and rules as they are now. */
export interface Refreshed {
  readonly known: Gathered | undefined;
  readonly converged: Converged | undefined;
}

/**
 * Keeps what is known on a machine that still is locked, and brings hosts file and rules to it;
 * undefined when it is not locked. What was asked for under another lock than that of now, one on
 * trial say, serves for nothing but its own.
 */
function followKnown(host: Host, asked: Gathered, lock: string): Converged | undefined {
  return host.exclusively(() => {
    // Somebody may have unlocked while DNS was asked.
    const record = readLockRecord(host);
    if (record?.locked !== true) return undefined;
    const known =
      lockInForce(host, record) === lock
        ? asked
        : gatherKnown(host, settingsInForce(host, record), record);
    saveKnown(host, known, keptFolder(record));
    pinHosts(host, hostPins(host, record, known));
    return followAlone(host, record).converged;
  });
}

/**
 * Reads NetworkManager's connections and asks for the names of a locked machine's VPN servers
 * again, through the tunnel: pins, endpoints and rules follow. Earlier addresses stay as a
 * fallback. A machine that is not locked has no pins and needs none.
 */
export function refreshMachine(host: Host): Refreshed {
  const record = readLockRecord(host);
  const lock = lockInForce(host, record);
  const saved = savedKnown(host, record);
  if (record?.locked !== true || saved === undefined) return { known: saved, converged: undefined };
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
  return { known, converged: followKnown(host, known, lock) };
}

/**
 * Reads the profiles again after one was attached, and asks for names as far as anybody can be
 * asked. A locked machine follows; on an open one the answers are kept for the lock to come.
 */
export function learnProfiles(host: Host): Gathered {
  const record = readLockRecord(host);
  const lock = lockInForce(host, record);
  const settings = settingsInForce(host, record);
  const known = gatherKnown(host, settings, record, askNow(host, settings, LOCK_SECONDS));
  // Somebody may have locked while DNS was asked.
  const now = readLockRecord(host);
  if (now?.locked === true) followKnown(host, known, lock);
  else host.exclusively(() => saveKnown(host, known, keptFolder(now)));
  return known;
}

/** Frees on a locked machine what was remembered of a connection and is forgotten now. */
export function followForgotten(host: Host): void {
  host.exclusively(() => {
    const record = readLockRecord(host);
    if (record?.locked === true) followAlone(host, record);
  });
  renewBaseTexts(host);
}

/**
 * Reads the profiles again after one was detached: a locked machine follows, an open one forgets
 * what it kept for the lock to come.
 */
export function unlearnProfiles(host: Host): void {
  const record = readLockRecord(host);
  if (record?.locked === true) {
    const lock = lockInForce(host, record);
    followKnown(host, gatherKnown(host, settingsInForce(host, record), record), lock);
    renewBaseTexts(host);
  } else forgetKnown(host);
}
