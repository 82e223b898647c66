import { parse } from 'dotenv';
import type { SettingsText } from './settings.ts';

const LINE_END = /\r\n?|\n/;

/**
 * Cuts a settings file with dotenv, and notes on which line each key stands: dotenv itself keeps
 * neither lines nor repeated keys. A line that dotenv passes over (`KEY:value`) is none of a key's,
 * so that no value a person wrote is replaced by a default without a word.
 */
export function settingsText(text: string): SettingsText {
  const values = parse(text);
  const lines = text.split(LINE_END).flatMap((content, index) => {
    if (/^\s*(#.*)?$/.test(content)) return [];
    const [, name] = /^\s*(?:export\s+)?([\w.-]+)\s*[=:]/.exec(content) ?? [];
    return [
      {
        line: index + 1,
        key: name !== undefined && Object.hasOwn(values, name) ? name : undefined,
      },
    ];
  });
  const found = new Set(lines.map(({ key }) => key));
  // dotenv takes "KEY", a line break and "=value" for one.
  const spread = Object.keys(values).filter((key) => !found.has(key));
  return {
    values,
    lines: [
      ...lines,
      ...spread.map((key) => ({
        line: text.slice(0, text.indexOf(key)).split(LINE_END).length,
        key,
      })),
    ],
  };
}
