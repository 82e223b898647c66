import { expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import type { LiveTunnel } from '../../../src/record/live-tunnels.ts';
import { readTraffic } from '../../../src/record/traffic.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { TUN0 } from '../../support/policies.ts';

const UP = 1_800_000_000;
const live: LiveTunnel = { tunnel: TUN0, since: UP, daemon: undefined, deviceSeen: true };

/**
 * Looks at a device at these moments (seconds after it came up), with so many packets received and
 * sent.
 */
function looks(...moments: readonly (readonly [at: number, received: number, sent: number])[]) {
  let files: Record<string, string> = {};
  return moments.map(([at, received, sent]) => {
    const counters = `Inter-|   Receive | Transmit\n face |bytes packets\n  tun0: 9 ${received} 0 0 0 0 0 0 9 ${sent} 0 0 0 0 0 0\n`;
    const host = fakeHost({ files: { ...files, [PATHS.devices]: counters }, now: UP + at });
    const traffic = readTraffic(host, [live]).get('tun0');
    files = Object.fromEntries(host.files);
    return `${traffic?.state} ${traffic?.seconds}`;
  });
}

test.each([
  ['has flowed since it came up', [[40, 7, 9]], ['flowing 40']],
  [
    'flows since the last look',
    [
      [40, 7, 9],
      [50, 8, 20],
    ],
    ['flowing 40', 'flowing 10'],
  ],
  [
    'is quiet while hardly anything leaves',
    [
      [40, 7, 9],
      [90, 7, 18],
    ],
    ['flowing 40', 'quiet 50'],
  ],
  [
    'is silent when ten packets have no answer for half a minute',
    [
      [40, 7, 9],
      [70, 7, 19],
    ],
    ['flowing 40', 'silent 30'],
  ],
  [
    'is not silent before',
    [
      [40, 7, 9],
      [69, 7, 19],
    ],
    ['flowing 40', 'flowing 29'],
  ],
  [
    'is silent from the start when nothing ever came in',
    [
      [29, 0, 50],
      [30, 0, 50],
    ],
    ['quiet 29', 'silent 30'],
  ],
  [
    'flows again with the first answer',
    [
      [40, 7, 9],
      [99, 7, 99],
      [100, 8, 99],
    ],
    ['flowing 40', 'silent 59', 'flowing 1'],
  ],
  [
    'counts from the last answer, however often somebody looks',
    [
      [40, 7, 9],
      [60, 7, 14],
      [80, 7, 19],
    ],
    ['flowing 40', 'flowing 20', 'silent 40'],
  ],
  [
    'counts anew on a device that was made anew',
    [
      [40, 7, 9],
      [80, 2, 3],
    ],
    ['flowing 40', 'flowing 80'],
  ],
] as const)('a tunnel %s', (_, moments, expected) => {
  expect(looks(...moments)).toEqual(expected);
});

test('a tunnel whose device is not here is unknown', () => {
  const host = fakeHost({ files: { [PATHS.devices]: '  lo: 1 1\n' } });
  expect([...readTraffic(host, [live])]).toEqual([['tun0', { state: 'unknown', seconds: 0 }]]);
});

test.each([
  '{',
  '[]',
  '{"tun0":{"since":"x"}}',
  '{"tun0":{"since":1800000000,"received":99,"sent":0,"grew":0,"at":0}}',
])('a damaged reading (%s) is none', (text) => {
  const files = {
    [PATHS.devices]: '  tun0: 9 7 0 0 0 0 0 0 9 9 0\n',
    [`${PATHS.runtime}/traffic`]: text,
  };
  const host = fakeHost({ files, now: UP + 40 });
  expect(readTraffic(host, [live]).get('tun0')).toEqual({ state: 'flowing', seconds: 40 });
});
