import { describe, expect, test } from 'vitest';
import { KillswitchError } from '../../../src/errors.ts';
import { PATHS } from '../../../src/host/paths.ts';
import { loadSettings } from '../../../src/machine/load-settings.ts';
import { defaultSettings } from '../../../src/policy/settings.ts';
import { fakeHost } from '../../support/fake-host.ts';

const load = (text: string) => loadSettings(fakeHost({ files: { [PATHS.settings]: text } }));

describe('the settings of a machine', () => {
  test('are the defaults without a file', () => {
    expect(loadSettings(fakeHost())).toEqual(defaultSettings());
  });

  test('are those of the file', () => {
    expect(load('KILLSWITCH_LAN=off\n').lan).toEqual({ kind: 'off' });
  });

  test('with mistakes are one error, with a line for each that names file, line, key and what is allowed', () => {
    try {
      load('KILLSWITCH_IPV6=maybe\n\nwhat\nKILLSWITCH_LAN=\u001b[31m\n');
      expect.fail('no error');
    } catch (error) {
      if (!(error instanceof KillswitchError)) throw error;
      expect(error.code).toBe('SETTINGS');
      expect(error.exit).toBe(78);
      expect(error.message).toBe('the settings have 3 problems');
      expect(error.detail).toEqual([
        `${PATHS.settings}:1: KILLSWITCH_IPV6 is "maybe"; allowed: tunnel or block`,
        `${PATHS.settings}:3: is not KEY=value`,
        expect.stringContaining(
          `${PATHS.settings}:4: KILLSWITCH_LAN is "\\x1b[31m"; allowed: off, private`,
        ),
      ]);
    }
  });
});
