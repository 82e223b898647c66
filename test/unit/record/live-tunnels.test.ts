import { describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import { startOf } from '../../../src/machine/daemon.ts';
import { devices } from '../../../src/machine/tunnel-device.ts';
import {
  type LiveTunnel,
  readLiveTunnels,
  removeLiveTunnel,
  staleTunnels,
  writeLiveTunnel,
} from '../../../src/record/live-tunnels.ts';
import type { ConnectionUuid } from '../../../src/tunnel/networkmanager-event.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { TUN0, TUN1 } from '../../support/policies.ts';

const CONNECTION = 'fae21da8-4440-48b0-bdf8-0d3ad6826b17' as ConnectionUuid;
const LIVE: LiveTunnel = {
  tunnel: TUN0,
  since: 1_800_000_000,
  daemon: { pid: 4711, start: '8765' },
  deviceSeen: true,
};
const stat = (start: string, name = 'openvpn', state = 'S') =>
  `4711 (${name}) ${state} ${Array.from({ length: 18 }, (_, n) => n).join(' ')} ${start} 0 0\n`;
const NET_DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  tun0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
`;

describe('a live tunnel', () => {
  test.each<readonly [string, LiveTunnel]>([
    ['with all facts', LIVE],
    ['whose daemon was not seen', { ...LIVE, daemon: undefined }],
    ['whose device was not seen', { ...LIVE, deviceSeen: false }],
    ['of a connection of NetworkManager', { ...LIVE, connection: CONNECTION }],
    ['of a profile that is known', { ...LIVE, profile: '/etc/openvpn/client/a.conf' }],
    [
      'with no facts but its device',
      {
        ...LIVE,
        tunnel: { device: TUN1.device, endpoints: [], addresses: [], resolvers: [], networks: [] },
      },
    ],
  ])('%s is read as it was written', (_, live) => {
    const host = fakeHost();
    writeLiveTunnel(host, live);
    expect(readLiveTunnels(host)).toEqual([live]);
  });

  test('has a file of its own, which alone goes with it', () => {
    const host = fakeHost();
    writeLiveTunnel(host, LIVE);
    writeLiveTunnel(host, { ...LIVE, tunnel: TUN1 });
    expect([...host.files.keys()].sort()).toEqual([
      `${PATHS.tunnels}/tun0`,
      `${PATHS.tunnels}/tun1`,
    ]);
    removeLiveTunnel(host, LIVE);
    expect(readLiveTunnels(host).map(({ tunnel }) => tunnel)).toEqual([TUN1]);
    removeLiveTunnel(host, LIVE);
  });

  const text = () => {
    const host = fakeHost();
    writeLiveTunnel(host, LIVE);
    return host.files.get(`${PATHS.tunnels}/tun0`) ?? '';
  };
  test.each<readonly [string, string, (good: string) => string]>([
    ['cut off', 'tun0', (good) => good.slice(0, good.length / 2)],
    ['empty', 'tun0', () => ''],
    ['no JSON', 'tun0', () => 'tun0\n'],
    ['a list', 'tun0', () => '[]'],
    ['another device’s', 'tun9', (good) => good],
    ['under no interface’s name', 'tun0.1234.new+', (good) => good],
    ['with an address that is none', 'tun0', (good) => good.replace('10.8.0.6', '10.8.0.6;id')],
    ['with a network that is none', 'tun0', (good) => good.replace('10.50.0.0/16', '0.0.0.0/0/0')],
    [
      'with an endpoint that is none',
      'tun0',
      (good) => good.replace('203.0.113.10:1194/udp', '203.0.113.10'),
    ],
    ['with a resolver that is none', 'tun0', (good) => good.replace('"10.8.0.1"', '1')],
    ['with a device that is none', 'tun0', (good) => good.replace('"tun0"', '"tun+"')],
    ['without a time', 'tun0', (good) => good.replace('"since"', '"until"')],
  ])('whose file is %s is none: nothing passes through its device', (_, name, change) => {
    const good = text();
    const changed = change(good);
    if (name === 'tun0') expect(changed).not.toBe(good);
    expect(readLiveTunnels(fakeHost({ files: { [`${PATHS.tunnels}/${name}`]: changed } }))).toEqual(
      [],
    );
  });

  test('next to a damaged file is still one', () => {
    const host = fakeHost({ files: { [`${PATHS.tunnels}/tun7`]: '{' } });
    writeLiveTunnel(host, LIVE);
    expect(readLiveTunnels(host)).toEqual([LIVE]);
  });
});

describe('a process', () => {
  test.each(['openvpn', 'a b', '(sd-pam)', ') R 1 2 3', '))', ''])(
    'called "%s" started when it did',
    (name) => {
      expect(startOf(fakeHost({ files: { '/proc/4711/stat': stat('8765', name) } }), 4711)).toBe(
        '8765',
      );
    },
  );

  test('that is not there, or dead and waited for by nobody, never started', () => {
    expect(startOf(fakeHost(), 4711)).toBeUndefined();
    for (const state of ['Z', 'X'])
      expect(
        startOf(fakeHost({ files: { '/proc/4711/stat': stat('8765', 'openvpn', state) } }), 4711),
      ).toBeUndefined();
  });
});

describe('a tunnel whose end nobody reported', () => {
  const machine = (files: Readonly<Record<string, string>>) =>
    fakeHost({ files: { [PATHS.devices]: NET_DEV, '/proc/4711/stat': stat('8765'), ...files } });

  test('knows the devices of this machine', () => {
    expect([...devices(machine({}))]).toEqual(['lo', 'tun0']);
    expect([...devices(fakeHost())]).toEqual([]);
  });

  test.each<readonly [string, LiveTunnel, Readonly<Record<string, string>>, boolean]>([
    ['is none while device and daemon are there', LIVE, {}, false],
    ['lost its device', LIVE, { [PATHS.devices]: NET_DEV.replace('tun0', 'tun3') }, true],
    ['lost its daemon', LIVE, { '/proc/4711/stat': '' }, true],
    [
      'lost its daemon, and another process has its number',
      LIVE,
      { '/proc/4711/stat': stat('9999') },
      true,
    ],
    [
      'lost its daemon, which nobody waits for',
      LIVE,
      { '/proc/4711/stat': stat('8765', 'openvpn', 'Z') },
      true,
    ],
    [
      'is none when the device was never seen',
      { ...LIVE, deviceSeen: false },
      { [PATHS.devices]: '' },
      false,
    ],
    [
      'is none when the daemon was never seen',
      { ...LIVE, daemon: undefined },
      { '/proc/4711/stat': '' },
      false,
    ],
    [
      'is one when the daemon is gone though the device never was seen',
      { ...LIVE, deviceSeen: false },
      { '/proc/4711/stat': '' },
      true,
    ],
  ])('%s', (_, live, files, stale) => {
    expect(staleTunnels(machine(files), [live])).toEqual(stale ? [live] : []);
  });
});
