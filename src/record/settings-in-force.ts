import type { Files } from '../host/files.ts';
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
export function keepSettings(files: Files, folder: KeptFolder): void {
  files.write(`${folder}/${FILE}`, files.read(PATHS.settings) ?? '', 0o600);
}

export function forgetSettings(files: Files): void {
  files.remove(lastingPath(FILE));
}

/** Returns a locked machine's kept settings, and their path. */
function keptSettings(
  files: Files,
  record: LockRecord | undefined,
): { readonly path: string; readonly text: string } | undefined {
  const path = keptPath(files, record, FILE);
  const text = record?.locked === true ? files.read(path) : undefined;
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
export function settingsChanged(files: Files, record: LockRecord | undefined): boolean {
  const kept = keptSettings(files, record);
  return kept !== undefined && kept.text !== (files.read(PATHS.settings) ?? '');
}

/** Returns the lock in force as a comparable text: another may replace it during a DNS query. */
export function lockInForce(files: Files, record: LockRecord | undefined): string {
  const { term, locked } = record ?? {};
  const kept = keptSettings(files, record)?.text;
  return JSON.stringify([locked, term?.kind === 'trial' && term.ends, kept]);
}
