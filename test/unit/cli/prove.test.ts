import { describe, expect, test } from 'vitest';
import { conclusion } from '../../../src/cli/prove-in-namespaces.ts';
import type { Played } from '../../../src/proof/play-stories.ts';
import { type Chapter, THINGS } from '../../../src/proof/story.ts';

const QUIET: Chapter = {
  title: 'openvpn connects',
  at: 1,
  tally: { clear: 0, byName: {}, vpn: 40, lan: 0, neighbour: 0, neighbourWords: {} },
  tried: 1500,
  worked: THINGS,
};
const END: Played['end'] = { kinds: 13, missing: undefined, lost: 0, status: 'LOCKED: blocked' };

/** Two stories, of which the second is this. */
function concluded(chapter: Partial<Chapter>, end: Partial<Played['end']> = {}) {
  const played = [
    { chapters: [QUIET], end: END },
    { chapters: [QUIET, { ...QUIET, ...chapter }], end: { ...END, ...end } },
  ];
  const { lines, proven } = conclusion(played, ['nftables', 'iptables']);
  return { proven, said: lines.map(({ text }) => text) };
}

describe('prove ends', () => {
  test('with the count of all probes when nothing left', () => {
    expect(concluded({})).toEqual({
      proven: true,
      said: [
        'Before the lock each of 13 kinds of probes was seen; since then 120 packets of the VPN itself.',
        '0 of 4,500 probes left in clear',
      ],
    });
  });

  test('with what left, when and with which backend', () => {
    const { proven, said } = concluded({
      title: 'tun0 is deleted',
      tally: { ...QUIET.tally, clear: 3, byName: { 'isp-dns4': 3 } },
    });
    expect(proven).toBe(false);
    expect(said).toContain('iptables: tun0 is deleted: isp-dns4: 3');
    expect(said.at(-1)).toBe('3 packets left in clear, of 4,500 probes');
  });

  test.each([
    ['the capture has lost packets', {}, { lost: 2 }, 'iptables: tcpdump lost 2 packets'],
    [
      'the tunnel did not carry everything',
      { worked: THINGS - 1 },
      {},
      'iptables: not everything worked through the tunnel',
    ],
  ])('as not proven when %s, whatever left', (_, chapter, end, doubt) => {
    const { proven, said } = concluded(chapter, end);
    expect(proven).toBe(false);
    expect(said).toContain(`Not proven: ${doubt}.`);
  });

  test('as not proven when no packet of the VPN was seen', () => {
    const chapters = [{ ...QUIET, tally: { ...QUIET.tally, vpn: 0 } }];
    expect(conclusion([{ chapters, end: END }], ['nftables']).proven).toBe(false);
  });

  test('with what could not be sent here', () => {
    expect(concluded({}, { missing: 'the probes of another user' }).said).toContain(
      'Not sent: the probes of another user.',
    );
  });
});
