import { expect, test } from 'vitest';
import { defaultSettings } from '../../../src/policy/settings.ts';
import { gaps } from '../../../src/record/gaps.ts';
import { gatherKnown } from '../../../src/record/gather-known.ts';
import { fakeHost } from '../../support/fake-host.ts';

/** The gaps of a profile with so many names. */
function gapsOf(names: number): readonly string[] {
  const remotes = Array.from({ length: names }, (_, index) => `remote vpn${index}.example 1194`);
  const host = fakeHost({
    files: { '/etc/openvpn/client/many.conf': ['client', ...remotes, ''].join('\n') },
  });
  return gaps(gatherKnown(host, defaultSettings(), undefined));
}

test('names without an address are listed up to five, and counted beyond', () => {
  expect(gapsOf(5)).toHaveLength(5);
  const many = gapsOf(10_000);
  expect(many).toHaveLength(6);
  expect(many.at(-1)).toBe('and for 9995 more');
});
