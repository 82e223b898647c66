import { asKillswitchError, explainError, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { readLockRecord } from '../machine/lock-record.ts';
import { BOOT_SCRIPT } from './boot-script.ts';
import { DAEMON_RELOAD } from './drop-in.ts';
import { besideNftables, NFTABLES_DROP_IN_NOW } from './nftables-service.ts';
import { takeAway } from './take-away.ts';

/** A hook that waits for systemd keeps OpenVPN waiting. */
const RELOAD_MILLISECONDS = 5_000;

/** @throws KillswitchError NO_BOOT or FILES */
function tell(host: Host, text: string): void {
  host.write(NFTABLES_DROP_IN_NOW, text, 0o644);
  const { status, stderr } = host.run({ ...DAEMON_RELOAD, milliseconds: RELOAD_MILLISECONDS });
  if (status === 0) {
    host.log({ level: 'info', event: 'nftables-service', message: 'nftables.service loads the base rules together with its own' });
    return;
  }
  // What systemd has not read does not hold: without the file "status" says so, and the next "lock" tries again.
  host.remove(NFTABLES_DROP_IN_NOW);
  throw new KillswitchError('NO_BOOT', 'systemctl daemon-reload failed', 'Mend what it says, and lock again.', [stderr.trim()]);
}

/**
 * Has nftables.service load the base with its own rules while this machine is locked, until the next boot; that of an open machine does what it
 * did. For after each change of the lock, and each load of the whole ruleset. What fails is logged: the rules hold all the same.
 */
export function followNftables(host: Host): void {
  const locked = readLockRecord(host)?.locked === true && host.exists(PATHS.systemd) && host.exists(BOOT_SCRIPT);
  try {
    const beside = locked ? besideNftables(host) : 'none';
    const there = host.read(NFTABLES_DROP_IN_NOW);
    if (typeof beside === 'object') {
      if (there !== beside.text) tell(host, beside.text);
    } else if (there !== undefined) takeAway(host, ['nftables-now']);
  } catch (thrown) {
    const message = `nftables.service was not told: ${explainError(asKillswitchError(thrown)).join(' ')}`;
    host.log({ level: 'warn', event: 'nftables-service', message });
  }
}
