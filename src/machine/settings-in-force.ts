import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { Settings } from '../policy/settings.ts';
import { loadSettings, readSettingsFile } from './load-settings.ts';
import { readLockRecord } from './lock-record.ts';

/** The settings file as the last `lock` read it. */
const FILE = `${PATHS.state}/settings.env`;

/** Keeps the settings that `lock` loads: a file that is edited, emptied or lost afterwards changes nothing before the next `lock`. */
export function keepSettings(host: Host): void {
  host.write(FILE, host.read(PATHS.settings) ?? '', 0o600);
}

export function forgetSettings(host: Host): void {
  host.remove(FILE);
}

/**
 * The settings that are in force: those of the last `lock` while the machine is locked, else those of the file.
 * @throws KillswitchError SETTINGS
 */
export function settingsInForce(host: Host): Settings {
  const kept = readLockRecord(host)?.locked === true ? host.read(FILE) : undefined;
  return kept === undefined ? loadSettings(host) : readSettingsFile(FILE, kept);
}

/** Whether the settings file says something else than what is in force. */
export function settingsChanged(host: Host): boolean {
  const kept = readLockRecord(host)?.locked === true ? host.read(FILE) : undefined;
  return kept !== undefined && kept !== (host.read(PATHS.settings) ?? '');
}
