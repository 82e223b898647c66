import { choose } from '../backend/choose.ts';
import type { Host } from '../host/host.ts';
import { gatherKnown, savedKnown } from '../machine/known-endpoints.ts';
import { readLockRecord } from '../machine/lock-record.ts';
import { settingsInForce } from '../machine/settings-in-force.ts';
import { readWorld } from '../machine/world.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { baseOf } from '../policy/policy.ts';
import type { BackendName } from '../policy/settings.ts';
import { type Converged, convergeAlone } from './converge.ts';
import { type Locked, lockAlone } from './lock.ts';

/** What following the live tunnels came to. */
export type Followed =
  | { readonly kind: 'unlocked' }
  | { readonly kind: 'locked-now'; readonly locked: Locked }
  | { readonly kind: 'followed'; readonly converged: Converged; readonly backend: BackendName };

/**
 * Brings the kernel to the live tunnels, for a hook: with the settings, endpoints and backend of the last `lock`, all read while nobody else
 * changes them. A machine that a human unlocked stays unlocked; one that nobody has decided about is locked. `added` names a device whose rules
 * may just be added.
 */
export function follow(host: Host, added?: InterfaceName): Followed {
  return host.exclusively(() => {
    const record = readLockRecord(host);
    if (record === undefined) return { kind: 'locked-now', locked: lockAlone(host, {}) };
    if (!record.locked) return { kind: 'unlocked' };
    const settings = settingsInForce(host);
    const { backend } = choose(readWorld(host, settings.backend));
    const base = baseOf(settings, savedKnown(host) ?? gatherKnown(host, settings));
    return { kind: 'followed', converged: convergeAlone(host, backend, base, added), backend: backend.name };
  });
}
