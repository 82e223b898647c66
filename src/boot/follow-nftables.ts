import { asKillswitchError, explainError, KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { bootsLocked, readLockRecord } from '../record/lock-record.ts';
import { BOOT_SCRIPT } from './boot-script.ts';
import { DAEMON_RELOAD } from './drop-in.ts';
import { enabledStrategyName } from './enabled-strategy-name.ts';
import { besideNftables, NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW } from './nftables-service.ts';
import { recoverStrategies } from './recover-script.ts';

/**
 * How long systemd may take to reload its units when a caller waits: OpenVPN for a hook, `watch`
 * for its next look at the rules.
 */
export const HASTE_MILLISECONDS = 5_000;
const PATIENCE_MILLISECONDS = 60_000;

/** Writes a drop-in and makes systemd read it. @throws KillswitchError NO_BOOT or FILES */
function tell(host: Host, path: string, text: string, milliseconds: number): void {
  host.write(path, text, 0o644);
  const { status, stderr } = host.exists(PATHS.systemd)
    ? host.run({ ...DAEMON_RELOAD, milliseconds })
    : { status: 0, stderr: '' };
  if (status === 0) {
    host.log({
      level: 'info',
      event: 'nftables-service',
      message: 'nftables.service loads the base rules together with its own',
    });
    return;
  }
  // Remove a file that systemd refused to read, since it has no effect: then "status" reports it,
  // and the next "lock" tries again. Keep it after a timeout: systemd reads it later.
  if (status !== null) host.remove(path);
  throw new KillswitchError(
    'NO_BOOT',
    'systemctl daemon-reload failed',
    'Fix the problem that the lines above name, then run "ovpn-killswitch lock".',
    [stderr.trim()],
  );
}

interface Place {
  readonly path: string;
  /** Its name in the script `recover`. */
  readonly name: 'nftables' | 'nftables-now';
  readonly isWanted: boolean;
}

/**
 * Returns the drop-ins and whether each is wanted: until the next boot while this machine is
 * locked, and for each boot that is to be locked. After a lock that nobody confirmed, the service
 * opens again.
 */
function placesOf(files: Files): readonly Place[] {
  const [record, strategy] = [readLockRecord(files), enabledStrategyName(files)];
  const [installed, runs] = [files.exists(BOOT_SCRIPT), files.exists(PATHS.systemd)];
  const boots = strategy !== undefined && (runs || strategy === 'systemd');
  return [
    {
      path: NFTABLES_DROP_IN_NOW,
      name: 'nftables-now',
      isWanted: installed && runs && record?.locked === true,
    },
    {
      path: NFTABLES_DROP_IN,
      name: 'nftables',
      isWanted: installed && boots && bootsLocked(record),
    },
  ];
}

function follow(host: Host, { path, name, isWanted }: Place, milliseconds: number): void {
  const beside = isWanted ? besideNftables(host) : 'none';
  const there = host.read(path);
  // A drop-in for the service's previous commands keeps it shut: the owner's new commands count
  // once this machine is unlocked.
  if (beside === 'unknown') return;
  if (beside === 'none') {
    if (there !== undefined) recoverStrategies(host, [name], milliseconds);
  } else if (there !== beside.text) tell(host, path, beside.text, milliseconds);
}

/**
 * Makes nftables.service load the base with its own rules while this machine is locked, and at each
 * boot that is. The service of an open machine keeps its own commands. Call after each change of
 * the lock, and after each load of the whole ruleset. Logs a failure and carries on: the rules are
 * loaded.
 */
export function followNftables(host: Host, milliseconds = PATIENCE_MILLISECONDS): void {
  try {
    for (const place of placesOf(host)) follow(host, place, milliseconds);
    // An `unlock` may have run while the file was written, and have found none to remove.
    for (const place of placesOf(host)) if (!place.isWanted) follow(host, place, milliseconds);
  } catch (thrown) {
    const message = `nftables.service was not told: ${explainError(asKillswitchError(thrown)).join(' ')}`;
    host.log({ level: 'warn', event: 'nftables-service', message });
  }
}
