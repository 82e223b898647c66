import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { LockRecord } from './lock-record.ts';

/** What a lock keeps, with the modes of the files. */
const KEPT = {
  'settings.env': 0o600,
  'endpoints.json': 0o644,
  'base.nft': 0o600,
  'base.v6': 0o600,
  'base.v4': 0o600,
  'base.hold': 0o600,
} as const;
export type Kept = keyof typeof KEPT;

/** Where a file is of the lock in force, which may be on trial. */
export function keptPath(record: LockRecord | undefined, file: Kept): string {
  return `${record?.trial === undefined ? PATHS.state : PATHS.trial}/${file}`;
}

/** Where it is of the lock that lasts, with which the machine boots. */
export function lastingPath(file: Kept): string {
  return `${PATHS.state}/${file}`;
}

/**
 * Makes what is on trial last.
 * @throws KillswitchError FILES when it is not there any more; nothing is changed then.
 */
export function adoptTrial(host: Host): void {
  if (!host.exists(`${PATHS.trial}/settings.env`))
    throw new KillswitchError(
      'FILES',
      `${PATHS.trial} does not hold what is on trial any more`,
      'Run "ovpn-killswitch lock": it loads the settings file, and lasts.',
    );
  for (const [file, mode] of Object.entries(KEPT) as readonly [Kept, number][]) {
    const text = host.read(`${PATHS.trial}/${file}`);
    if (text === undefined) host.remove(lastingPath(file));
    else host.write(lastingPath(file), text, mode);
  }
}

export function forgetTrial(host: Host): void {
  host.remove(PATHS.trial);
}
