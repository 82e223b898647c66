import { parse } from 'dotenv';
import type { SettingsText } from './settings.ts';

const LINE_END = /\r\n?|\n/;

/**
 * Parses a settings file with dotenv, and notes the line of each key: dotenv keeps neither lines
 * nor repeated keys. A line that dotenv skips (`KEY:value`) counts for no key, so that no default
 * silently replaces a value that a person wrote.
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
  // dotenv reads "KEY", a line break and "=value" as one assignment.
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
