import { describe, expect, test } from 'vitest';
import { settingsTemplate } from '../../../src/cli/settings-template.ts';
import { defaultSettings, KEYS, readSettings } from '../../../src/policy/settings.ts';
import { settingsText } from '../../../src/policy/settings-text.ts';

describe('the settings file that is installed', () => {
  const uncommented = settingsTemplate().replace(/^#(?=KILLSWITCH_)/gm, '');

  test('changes nothing as it is', () => {
    const { values, lines } = settingsText(settingsTemplate());
    expect(values).toEqual({});
    expect(lines).toEqual([]);
  });

  test('gives the defaults when every line of it is uncommented', () => {
    expect(readSettings(settingsText(uncommented))).toEqual({ settings: defaultSettings() });
  });

  test('has every key once', () => {
    expect(
      settingsText(uncommented)
        .lines.map(({ key }) => key)
        .sort(),
    ).toEqual(Object.keys(KEYS).sort());
  });

  test('says before each key what is allowed', () => {
    for (const [name, { allowed, initial }] of Object.entries(KEYS))
      expect(settingsTemplate()).toContain(`\n# Allowed: ${allowed}\n#${name}=${initial}\n`);
  });
});
