import { describe, expect, test } from 'vitest';
import { KillswitchError } from '../../../src/errors.ts';
import { PATHS } from '../../../src/host/paths.ts';
import { parseHostName } from '../../../src/net/host-name.ts';
import { writeLiveTunnel } from '../../../src/record/live-tunnels.ts';
import { askNow } from '../../../src/transaction/ask-names.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';
import { settingsOf, TUN0, TUN1 } from '../../support/policies.ts';

const FOLDER = '/etc/openvpn/client';
const SETTINGS = settingsOf({ KILLSWITCH_PROFILES: `${FOLDER}/*.conf` });
const NAMES = ['a.test', 'b.test'].flatMap((text) => parseHostName(text) ?? []);
const ROUTES = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
up0\t00000000\t014DA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
up0\t0033C6CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
const LOCKED = JSON.stringify({
  version: 1,
  locked: true,
  since: 1,
  backend: 'nftables',
  wall: false,
  before: [],
  made: [],
});

interface Asked {
  readonly names: readonly string[];
  readonly servers: readonly string[] | undefined;
  readonly sources: readonly string[] | undefined;
}

function machine(
  files: Readonly<Record<string, string>>,
  given: readonly string[],
): { readonly host: FakeHost; readonly asked: Asked[] } {
  const host = fakeHost({
    files: {
      [`${FOLDER}/a.conf`]: 'remote a.test\n',
      [`${FOLDER}/b.conf`]: 'remote b.test\n',
      [PATHS.resolvConf]: 'nameserver 203.0.113.53\n',
      '/proc/net/route': ROUTES,
      ...files,
    },
  });
  const asked: Asked[] = [];
  host.resolve = (names, servers, _, sources) => {
    asked.push({ names, servers, sources });
    return new Map(names.map((name) => [name, given]));
  };
  return { host, asked };
}

const live = (host: FakeHost, profile: string | undefined, tunnel = TUN0) =>
  writeLiveTunnel(host, {
    tunnel,
    since: 1,
    daemon: undefined,
    deviceSeen: false,
    ...(profile !== undefined && { profile }),
  });
const texts = (host: FakeHost) =>
  Object.fromEntries(
    [...askNow(host, SETTINGS, 1)(NAMES)].map(([name, { addresses }]) => [
      name,
      addresses.map(({ text }) => text),
    ]),
  );

describe('while nothing is locked', () => {
  test('the system’s resolvers are asked for every name, and root has asked', () => {
    const { host, asked } = machine({}, ['192.168.1.9']);
    expect([...askNow(host, SETTINGS, 1)(NAMES).values()].map(({ from }) => from)).toEqual(
      NAMES.map(() => ({ kind: 'lock', resolvers: ['203.0.113.53'] })),
    );
    expect(asked).toEqual([{ names: NAMES, servers: undefined, sources: undefined }]);
  });

  test('root’s own lines of the hosts file come first, and their names are asked of nobody', () => {
    const { host, asked } = machine({ [PATHS.hosts]: '192.0.2.77 a.test\n' }, ['192.0.2.1']);
    expect(texts(host)).toEqual({ 'a.test': ['192.0.2.77'], 'b.test': ['192.0.2.1'] });
    expect(asked.map(({ names }) => names)).toEqual([['b.test']]);
  });

  test('what is answered while a tunnel is up counts as its server’s word', () => {
    const { host } = machine({}, ['192.168.1.9', '198.18.0.1']);
    live(host, undefined);
    expect([...askNow(host, SETTINGS, 1)(NAMES).values()].map(({ from }) => from.kind)).toEqual([
      'tunnel',
      'tunnel',
    ]);
    expect(texts(host)).toEqual({ 'a.test': ['198.18.0.1'], 'b.test': ['198.18.0.1'] });
  });
});

describe('while locked', () => {
  const files = { [`${PATHS.state}/lock.json`]: LOCKED };

  test('a tunnel’s resolvers are asked only for the names of its own profile, from its own address', () => {
    const { host, asked } = machine(files, ['198.18.0.1']);
    live(host, `${FOLDER}/a.conf`);
    live(host, `${FOLDER}/b.conf`, TUN1);
    expect(texts(host)).toEqual({ 'a.test': ['198.18.0.1'], 'b.test': ['198.18.0.1'] });
    expect(asked).toEqual(
      [TUN0, TUN1].map((tunnel, index) => ({
        names: [NAMES[index]],
        servers: tunnel.resolvers.map(({ text }) => text),
        sources: tunnel.addresses.map(({ text }) => text),
      })),
    );
  });

  test('the resolvers of a tunnel that is gone are not asked: a person would wait for them in vain', () => {
    const { host, asked } = machine(
      { ...files, [PATHS.devices]: '  tun1: 0\n', '/sys/class/net/tun1/tun_flags': '0x1001\n' },
      ['198.18.0.1'],
    );
    for (const [tunnel, file] of [
      [TUN0, 'a'],
      [TUN1, 'b'],
    ] as const)
      writeLiveTunnel(host, {
        tunnel,
        since: 0,
        daemon: undefined,
        deviceSeen: true,
        profile: `${FOLDER}/${file}.conf`,
      });
    expect(texts(host)).toEqual({ 'b.test': ['198.18.0.1'] });
    expect(asked.map(({ names }) => names)).toEqual([['b.test']]);
  });

  test.each([undefined, '/home/eve/a.conf', `${FOLDER}/gone.conf`])(
    'of a profile that is not known, or not root’s (%s), nothing is asked',
    (profile) => {
      const { host: rootsHost, asked } = machine(
        { ...files, '/home/eve/a.conf': 'remote b.test\n' },
        ['198.18.0.1'],
      );
      const read = (path: string) => {
        if (path.startsWith('/home/eve/'))
          throw new KillswitchError('OWNER', 'others can change it', '');
        return rootsHost.read(path);
      };
      const host = { ...rootsHost, read };
      live(host, profile);
      expect(texts(host)).toEqual({});
      expect(asked).toEqual([]);
    },
  );

  test.each([
    ...[
      '10.0.0.1',
      '100.64.0.1',
      '127.0.0.1',
      '0.0.0.0',
      '169.254.1.1',
      '172.16.0.1',
      '192.168.1.1',
      '224.0.0.1',
      '255.255.255.255',
    ],
    ...[
      '::1',
      '::',
      'fc00::1',
      'fe80::1',
      'ff02::1',
      '64:ff9b::a00:1',
      '2002:a00:1::',
      '2001:0:a00::1',
    ],
    // On the uplink's own network.
    '203.198.51.7',
  ])('no tunnel’s answer stands that names %s', (text) => {
    const { host } = machine(files, [text, '198.18.0.1', '2001:db8::9']);
    live(host, `${FOLDER}/a.conf`);
    expect(texts(host)).toEqual({ 'a.test': ['198.18.0.1', '2001:db8::9'] });
  });
});
