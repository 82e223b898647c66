import type { Host } from '../host/host.ts';
import { pinHosts } from '../machine/hosts-file.ts';
import { type Gathered, renewKnown, savedKnown, saveKnown } from '../machine/known-endpoints.ts';
import { readLockRecord } from '../machine/lock-record.ts';
import { settingsInForce } from '../machine/settings-in-force.ts';
import type { Converged } from './converge.ts';
import { follow } from './follow.ts';
import { askNow } from './lock.ts';

/** Seconds to wait for DNS through a tunnel that may only just have come up. */
const TUNNEL_SECONDS = 30;

/** What `refresh` came to: nothing to ask for, or the pins and rules as they are now. */
export interface Refreshed {
  readonly known: Gathered | undefined;
  readonly converged: Converged | undefined;
}

/**
 * Asks for the names of a locked machine's VPN servers again, through the tunnel: pins, endpoints and rules follow. Earlier addresses stay as a
 * fallback. A machine that is not locked has no pins and needs none.
 */
export function refreshMachine(host: Host): Refreshed {
  const saved = savedKnown(host);
  if (readLockRecord(host)?.locked !== true || saved === undefined || saved.named.length === 0)
    return { known: saved, converged: undefined };
  const known = renewKnown(host, saved, askNow(host, settingsInForce(host), TUNNEL_SECONDS));
  const kept = host.exclusively(() => {
    // Somebody may have unlocked while DNS was asked.
    if (readLockRecord(host)?.locked !== true) return false;
    saveKnown(host, known);
    pinHosts(host, known.pins);
    return true;
  });
  const followed = kept ? follow(host) : undefined;
  return { known, converged: followed?.kind === 'followed' ? followed.converged : undefined };
}
