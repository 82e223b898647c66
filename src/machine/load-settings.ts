import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { printable } from '../net/printable.ts';
import { defaultSettings, readSettings, type Settings } from '../policy/settings.ts';
import { settingsText } from '../policy/settings-text.ts';

/** Cached: a hook reads the settings several times, mostly from the text that `lock` kept. */
const readBefore = new Map<string, Settings>();

/**
 * Parses the settings of a file's text.
 * @throws KillswitchError SETTINGS with one line for each problem.
 */
export function readSettingsFile(path: string, text: string): Settings {
  const known = readBefore.get(text);
  if (known !== undefined) return known;
  const read = readSettings(settingsText(text));
  if ('settings' in read) {
    readBefore.set(text, read.settings);
    return read.settings;
  }
  const lines = read.issues.map(({ line, key, problem }) =>
    `${path}:${line}: ${printable(key)} ${printable(problem)}`.replace(/ {2,}/g, ' '),
  );
  const count = lines.length === 1 ? 'one problem' : `${lines.length} problems`;
  throw new KillswitchError(
    'SETTINGS',
    `the settings have ${count}`,
    `Fix ${path}, then run "ovpn-killswitch lock".`,
    lines,
  );
}

/**
 * Returns the settings of this machine; the defaults when there is no file.
 * @throws KillswitchError SETTINGS with one line for each problem of the file.
 */
export function loadSettings(host: Host): Settings {
  const text = host.read(PATHS.settings);
  if (text === undefined) return defaultSettings();
  const settings = readSettingsFile(PATHS.settings, text);
  host.logLevel(settings.logLevel);
  return settings;
}
