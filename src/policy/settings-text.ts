import { parse } from 'dotenv';
import type { SettingsText } from './settings.ts';

/** Cuts a settings file with dotenv, and notes on which line each key stands: dotenv itself keeps neither lines nor repeated keys. */
export function settingsText(text: string): SettingsText {
  const lines = text.split(/\r?\n/).flatMap((content, index) => {
    if (/^\s*(#.*)?$/.test(content)) return [];
    const [, name] = /^\s*(?:export\s+)?([\w.-]+)\s*[=:]/.exec(content) ?? [];
    return [{ line: index + 1, key: name }];
  });
  return { values: parse(text), lines };
}
