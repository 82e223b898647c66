import { describe, expect, test } from 'vitest';
import { type BootFacts, chooseBoot } from '../../../src/boot/choose-boot.ts';

const NOTHING: BootFacts = {
  init: undefined,
  has: { systemd: false, openrc: false, 'netfilter-persistent': false, sysconfig: false },
};
const ALL: BootFacts['has'] = {
  systemd: true,
  openrc: true,
  'netfilter-persistent': true,
  sysconfig: true,
};
const chosen = (facts: BootFacts, wanted: Parameters<typeof chooseBoot>[1] = 'auto') =>
  chooseBoot(facts, wanted).strategy.name;

describe('what loads the rules at boot', () => {
  test('is systemd where it runs, whatever else is installed: it alone can keep the network shut', () => {
    expect(chosen({ init: 'systemd', has: ALL })).toBe('systemd');
  });

  test('is OpenRC where it runs, also with systemctl installed', () => {
    expect(chosen({ init: 'openrc', has: ALL })).toBe('openrc');
  });

  test('is netfilter-persistent or the iptables service only where neither runs', () => {
    expect(chosen({ init: undefined, has: ALL })).toBe('netfilter-persistent');
    expect(chosen({ init: undefined, has: { ...ALL, 'netfilter-persistent': false } })).toBe(
      'sysconfig',
    );
  });

  test('is a line of the owner where nothing is known', () => {
    expect(chosen(NOTHING)).toBe('plain');
    expect(chooseBoot(NOTHING, 'auto').trace).toEqual([
      'plain: nothing was found here that could load rules at boot',
    ]);
  });

  test('is what was asked for, if it is installed', () => {
    for (const name of ['systemd', 'openrc', 'netfilter-persistent', 'sysconfig'] as const) {
      expect(chosen({ init: 'systemd', has: ALL }, name)).toBe(name);
      expect(() => chosen(NOTHING, name)).toThrow(`${name} is not installed`);
    }
    expect(chosen(NOTHING, 'plain')).toBe('plain');
  });
});
