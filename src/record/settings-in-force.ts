import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { loadSettings, readSettingsFile } from '../machine/load-settings.ts';
import type { Settings } from '../policy/settings.ts';
import type { LockRecord } from './lock-record.ts';
import { type KeptFolder, keptPath, lastingPath } from './trial.ts';

/** The settings file as the last `lock` read it. */
const FILE = 'settings.env';

/**
 * Keeps the settings that `lock` loads: a file that is edited, emptied or lost afterwards changes
 * nothing before the next `lock`.
 */
export function keepSettings(host: Host, folder: KeptFolder): void {
  host.write(`${folder}/${FILE}`, host.read(PATHS.settings) ?? '', 0o600);
}

export function forgetSettings(host: Host): void {
  host.remove(lastingPath(FILE));
}

/** The kept settings of a locked machine, and where they are. */
function keptSettings(
  host: Host,
  record: LockRecord | undefined,
): { readonly path: string; readonly text: string } | undefined {
  const path = keptPath(host, record, FILE);
  const text = record?.locked === true ? host.read(path) : undefined;
  return text === undefined ? undefined : { path, text };
}

/**
 * The settings that are in force: those of the last `lock` while the machine is locked by its
 * record, else those of the file.
 * @throws KillswitchError SETTINGS
 */
export function settingsInForce(host: Host, record: LockRecord | undefined): Settings {
  const kept = keptSettings(host, record);
  return kept === undefined ? loadSettings(host) : readSettingsFile(kept.path, kept.text);
}

/** Whether the settings file says something else than what is in force. */
export function settingsChanged(host: Host, record: LockRecord | undefined): boolean {
  const kept = keptSettings(host, record);
  return kept !== undefined && kept.text !== (host.read(PATHS.settings) ?? '');
}

/** Which lock is in force, as a text that compares: another one may come while DNS is asked. */
export function lockInForce(host: Host, record: LockRecord | undefined): string {
  const { term, locked } = record ?? {};
  const kept = keptSettings(host, record)?.text;
  return JSON.stringify([locked, term?.kind === 'trial' && term.ends, kept]);
}
