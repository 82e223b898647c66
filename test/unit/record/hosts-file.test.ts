import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import { ownEntries, pinHosts, pinned, unpinned } from '../../../src/record/hosts-file.ts';
import { parsePins } from '../../../src/record/pins.ts';
import { fakeHost } from '../../support/fake-host.ts';

const PINS = parsePins({ 'vpn.test': { '192.0.2.1': 5, '2001:db8::1': 4 } });
const BLOCK = `# >>> ovpn-killswitch: VPN servers, so that their names resolve while DNS is shut
192.0.2.1 vpn.test
2001:db8::1 vpn.test
# <<< ovpn-killswitch
`;

describe('a hosts file', () => {
  test('gets a block at its end, and every other line stays', () => {
    expect(pinned('127.0.0.1 localhost\n', PINS)).toBe(`127.0.0.1 localhost\n${BLOCK}`);
  });

  test('gets its block renewed where the owner has added lines below', () => {
    expect(pinned(`a\n${BLOCK}b\n`, PINS)).toBe(`a\nb\n${BLOCK}`);
  });

  test('has no block without pins', () => {
    expect(pinned(`a\n${BLOCK}`, [])).toBe('a\n');
    expect(pinned('a\n', [])).toBe('a\n');
  });

  test('with half a block of ours is not cut', () => {
    const half = `a\n${BLOCK.split('\n').slice(0, 2).join('\n')}\nb\n`;
    expect(unpinned(half)).toBe(half);
  });

  test('is byte for byte what it was when the block is taken out, however it ends', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', ' ', '\t', '#', '\n', '\r', 'é') }),
        (text) => {
          expect(unpinned(pinned(text, PINS))).toBe(text);
          expect(pinned(pinned(text, PINS), PINS)).toBe(pinned(text, PINS));
        },
      ),
    );
  });

  test('tells what its owner wrote, without our block', () => {
    const entries = ownEntries(
      `192.0.2.7 mine.test Other.test # note\n# 192.0.2.8 no.test\nnonsense here\n${BLOCK}`,
    );
    expect([...entries].map(([name, found]) => [name, found.map(({ text }) => text)])).toEqual([
      ['mine.test', ['192.0.2.7']],
      ['other.test', ['192.0.2.7']],
    ]);
  });

  test('is written only when that changes it', () => {
    const host = fakeHost({ files: { [PATHS.hosts]: 'a\n' } });
    pinHosts(host, PINS);
    expect(host.files.get(PATHS.hosts)).toBe(`a\n${BLOCK}`);
    pinHosts(host, []);
    expect(host.files.get(PATHS.hosts)).toBe('a\n');
    const none = fakeHost();
    pinHosts(none, []);
    expect(none.files.has(PATHS.hosts)).toBe(false);
  });
});
