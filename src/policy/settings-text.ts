import { parse } from 'dotenv';
import type { SettingsText } from './settings.ts';

/**
 * Cuts a settings file with dotenv, and notes on which line each key stands: dotenv itself keeps neither lines nor repeated keys. A line that
 * dotenv passes over (`KEY:value`) is none of a key's, so that no value a person wrote is replaced by a default without a word.
 */
export function settingsText(text: string): SettingsText {
  const values = parse(text);
  const lines = text.split(/\r\n?|\n/).flatMap((content, index) => {
    if (/^\s*(#.*)?$/.test(content)) return [];
    const [, name] = /^\s*(?:export\s+)?([\w.-]+)\s*[=:]/.exec(content) ?? [];
    return [{ line: index + 1, key: name !== undefined && Object.hasOwn(values, name) ? name : undefined }];
  });
  return { values, lines };
}
