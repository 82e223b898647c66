import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { loadSettings, readSettingsFile } from '../machine/load-settings.ts';
import type { Settings } from '../policy/settings.ts';
import type { LockRecord } from './lock-record.ts';
import { type KeptFolder, keptPath, lastingPath } from './trial.ts';

/** The settings as the last `lock` read them. */
const FILE = 'settings.env';

/**
 * Keeps the settings that `lock` loads: editing or losing the file changes nothing before the next
 * `lock`.
 */
export function keepSettings(host: Host, folder: KeptFolder): void {
  host.write(`${folder}/${FILE}`, host.read(PATHS.settings) ?? '', 0o600);
}

export function forgetSettings(host: Host): void {
  host.remove(lastingPath(FILE));
}

/** Returns a locked machine's kept settings, and their path. */
function keptSettings(
  host: Host,
  record: LockRecord | undefined,
): { readonly path: string; readonly text: string } | undefined {
  const path = keptPath(host, record, FILE);
  const text = record?.locked === true ? host.read(path) : undefined;
  return text === undefined ? undefined : { path, text };
}

/**
 * Returns the settings in force: those of the last `lock` while the record says locked, else the
 * file's.
 * @throws KillswitchError SETTINGS
 */
export function settingsInForce(host: Host, record: LockRecord | undefined): Settings {
  const kept = keptSettings(host, record);
  return kept === undefined ? loadSettings(host) : readSettingsFile(kept.path, kept.text);
}

/** Whether the settings file differs from the settings in force. */
export function settingsChanged(host: Host, record: LockRecord | undefined): boolean {
  const kept = keptSettings(host, record);
  return kept !== undefined && kept.text !== (host.read(PATHS.settings) ?? '');
}

/** Returns the lock in force as a comparable text: another may replace it during a DNS query. */
export function lockInForce(host: Host, record: LockRecord | undefined): string {
  const { term, locked } = record ?? {};
  const kept = keptSettings(host, record)?.text;
  return JSON.stringify([locked, term?.kind === 'trial' && term.ends, kept]);
}
