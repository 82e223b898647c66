import { followNftables, HASTE_MILLISECONDS } from '../boot/follow-nftables.ts';
import { describeResolvers } from '../dns/describe-resolvers.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { installedBackends } from '../machine/backend-facts.ts';
import { describe, describeTunnels } from '../policy/policy.ts';
import type { LiveTunnel } from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import type { Change } from '../transaction/amend.ts';
import { look } from '../transaction/apply.ts';
import { follow } from '../transaction/follow.ts';
import { MOST_REFUSED } from './logged.ts';

/** Whether any rule of ours is in the kernel, by any backend. */
function isLoaded(host: Host): boolean {
  return installedBackends(host).some((backend) => look(host, backend).present);
}

/** Brings the kernel to the live tunnels. Locks a machine without any decision. */
export function loadRules(host: Host, change?: Change): void {
  const followed = follow(host, change);
  switch (followed.kind) {
    case 'locked-now': {
      const { policy, applied, choice, known } = followed.locked;
      const message = `locked by this hook: ${describe(policy)} (${choice.trace.join('; ')}); "ovpn-killswitch unlock" opens`;
      host.log({ level: 'warn', event: 'locked', message, fields: { applied } });
      for (const line of known.unread.slice(0, MOST_REFUSED))
        host.log({ level: 'warn', event: 'left-alone', message: line });
      followNftables(host, HASTE_MILLISECONDS);
      return;
    }
    case 'unlocked': {
      const what = change !== undefined && 'came' in change ? `${change.came.tunnel.device}: ` : '';
      const message = `${what}this machine is UNLOCKED, nothing is guarded; "ovpn-killswitch lock" guards it`;
      host.log({ level: 'warn', event: 'not-locked', message });
      return;
    }
    case 'followed': {
      const { policy, applied } = followed.converged;
      host.log({
        level: 'info',
        event: 'applied',
        message: describeTunnels(policy),
        fields: { applied, backend: followed.backend },
      });
      // A reboot lost the rules, and the drop-in too.
      if (applied === 'replaced') followNftables(host, HASTE_MILLISECONDS);
      return;
    }
    default:
      followed satisfies never;
  }
}

/**
 * Sets the system's resolvers to the live tunnels'. A failure is only logged: the rules hold all
 * the same, and no other resolver can be reached.
 */
export function setResolvers(host: Host): void {
  const followed = followResolversOrSay(host);
  if (followed instanceof KillswitchError || followed.kind === 'unchanged') return;
  host.log({ level: 'info', event: 'resolvers', message: describeResolvers(followed) });
}

/**
 * Brings the kernel to the remaining tunnels. `went` is the one that went, undefined when unknown.
 * An open machine stays open.
 */
export function loadRemaining(host: Host, went?: LiveTunnel): void {
  const record = readLockRecord(host);
  if (record?.locked === false) return;
  // Without a readable record, only the kernel tells whether this machine was ever locked.
  if (record === undefined && !isLoaded(host)) return;
  try {
    loadRules(host, went && { went });
  } finally {
    setResolvers(host);
  }
}
