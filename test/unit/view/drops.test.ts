import { describe, expect, test } from 'vitest';
import { iptables } from '../../../src/backend/iptables.ts';
import { nftables } from '../../../src/backend/nftables.ts';
import { dropCounts, readDrops } from '../../../src/view/drops.ts';
import { fakeHost } from '../../support/fake-host.ts';
import type { PolicyName } from '../../support/policies.ts';
import { countedImage, NOW } from '../../support/views.ts';

const REFUSING: PolicyName = 'blocked, an endpoint inside the LAN, refusing with an answer';

describe.each([iptables(), nftables])('of $name', (backend) => {
  test('only rules that refuse a packet count, by their reason', () => {
    const counts = dropCounts(
      countedImage(backend, 'connected, two tunnels', {
        lan: 7,
        tunnel: 5,
        'other-dns': 1,
        rest: 2,
      }),
    );
    expect(Object.keys(counts).sort()).toEqual(['other-dns', 'rest']);
    expect(counts.rest).toBeGreaterThanOrEqual(2);
  });

  test('rules that answer count like rules that drop', () => {
    expect(
      dropCounts(countedImage(backend, REFUSING, { 'endpoint-others': 4, lan: 9 }))[
        'endpoint-others'
      ],
    ).toBeGreaterThanOrEqual(4);
  });

  test('rules that only log do not count', () => {
    const all = countedImage(backend, 'connected, logging drops', { rest: 1 });
    const logs = all.map((chain) => ({
      ...chain,
      rules: chain.rules.filter(({ text }) => /LOG --log|log prefix/.test(text)),
    }));
    expect(logs.some(({ rules }) => rules.length > 0)).toBe(true);
    expect(dropCounts(logs)).toEqual({});
  });
});

describe('the last minute', () => {
  const image = (rest: number) =>
    countedImage(nftables, 'blocked, LAN off', { rest }).map((chain) =>
      chain.name === 'postrouting'
        ? chain
        : { ...chain, rules: chain.rules.map((rule) => ({ ...rule, packets: 0 })) },
    );

  /**
   * Readings at seconds after the start, each with what the rule `rest` has counted by then; what
   * the last says.
   */
  function readings(...all: readonly (readonly [second: number, rest: number])[]) {
    let files: Record<string, string> = {};
    return all
      .map(([second, rest]) => {
        const host = fakeHost({ files, now: NOW + second });
        const drops = readDrops(host, image(rest));
        files = Object.fromEntries(host.files);
        return drops;
      })
      .at(-1);
  }

  test('without an earlier reading everything since the rules were loaded is told', () => {
    expect(readings([0, 30])).toEqual({
      seconds: undefined,
      packets: { rest: 30 },
      sinceLoad: { rest: 30 },
    });
  });

  test('is counted from the reading nearest to a minute ago', () => {
    expect(readings([0, 1], [40, 10], [60, 17], [100, 21])).toEqual({
      seconds: 60,
      packets: { rest: 11 },
      sinceLoad: { rest: 21 },
    });
  });

  test('counts anew when the rules were loaded anew in between', () => {
    expect(readings([0, 500], [50, 4])).toEqual({
      seconds: 50,
      packets: { rest: 4 },
      sinceLoad: { rest: 4 },
    });
  });

  test('forgets readings of long ago, and of a clock that was ahead', () => {
    expect(readings([0, 500], [3600, 510])?.seconds).toBeUndefined();
    expect(readings([3600, 500], [0, 510])?.seconds).toBeUndefined();
  });

  test('keeps few readings, however often it is asked', () => {
    const host = fakeHost();
    for (let second = 0; second < 300; second++)
      readDrops({ ...host, now: () => NOW + second }, image(second));
    const kept: unknown = JSON.parse(host.files.get('/run/ovpn-killswitch/drops') ?? '');
    expect(kept).toHaveLength(25);
  });

  test('a file that is damaged is no reading', () => {
    const host = fakeHost({ files: { '/run/ovpn-killswitch/drops': '[{"at":"soon"},7' } });
    expect(readDrops(host, image(2)).seconds).toBeUndefined();
  });

  test('without root nothing is written', () => {
    const host = fakeHost({ root: false });
    readDrops(host, image(2));
    expect([...host.files.keys()]).toEqual([]);
  });
});
