import { describe, expect, test } from 'vitest';
import { readSettings } from '../../../src/policy/settings.ts';
import { settingsText } from '../../../src/policy/settings-text.ts';
import { shutLogin } from '../../../src/view/next-login.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const listens = (end: string, inode: number) =>
  `   1: ${end} ${end.replace(/:.*/, ':0000').replace(/[0-9A-F]/g, '0')} 0A 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 20 4 30 10 -1\n`;
const ANY4 = '00000000:0016';
const ANY6 = '00000000000000000000000000000000:0016';
const ROUTES = 'Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n';
/** eth0 in 192.168.1.0/24, and in 203.0.113.0/24. */
const [PRIVATE, PUBLIC] = [
  'eth0 0001A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n',
  'eth0 007100CB 00000000 0001 0 0 0 00FFFFFF 0 0 0\n',
];

/** A machine whose sshd has the process id 9, and a session from `there` to `here`. */
function machine(
  files: Readonly<Record<string, string>> = {},
  there?: string,
  here = '203.0.113.5',
): FakeHost {
  return fakeHost({
    files: {
      '/proc/self/environ': there === undefined ? '' : `SSH_CONNECTION=${there} 50022 ${here} 22\0`,
      '/proc/self/stat': '30 (a) S 0 1 1 0',
      '/proc/9/comm': 'sshd\n',
      '/proc/9/fd/3': '',
      '/proc/9/fd/4': '',
      '/proc/net/tcp': HEAD + listens(ANY4, 2),
      '/proc/net/tcp6': HEAD,
      '/proc/net/route': ROUTES + PRIVATE + PUBLIC,
      ...files,
    },
    links: { '/proc/9/fd/3': '/proc/9/fd/socket:[2]', '/proc/9/fd/4': '/proc/9/fd/socket:[3]' },
  });
}

function settingsOf(...lines: readonly string[]) {
  const read = readSettings(settingsText(lines.join('\n')));
  if ('issues' in read) throw new Error(JSON.stringify(read.issues));
  return read.settings;
}

const IPV6_SSHD = { '/proc/net/tcp6': HEAD + listens(ANY6, 3), '/proc/net/tcp': HEAD };

describe('the lines that let a login in are exact: with them it comes in', () => {
  test.each<
    [
      what: string,
      there: string,
      settings: readonly string[],
      lines: readonly string[],
      here?: string,
    ]
  >([
    ['from the LAN', '192.168.1.7', [], ['KILLSWITCH_LAN_INBOUND=22/tcp'], '192.168.1.5'],
    [
      'beside another service',
      '192.168.1.7',
      ['KILLSWITCH_LAN_INBOUND=8080/tcp,53/udp'],
      ['KILLSWITCH_LAN_INBOUND=8080/tcp,53/udp,22/tcp'],
      '192.168.1.5',
    ],
    [
      'from the internet to a machine with a private network too',
      '198.51.100.7',
      [],
      [
        'KILLSWITCH_LAN=192.168.1.0/24,224.0.0.0/24,239.0.0.0/8,255.255.255.255,ff02::/16,ff05::/16,198.51.100.7:22/tcp',
        'KILLSWITCH_LAN_INBOUND=22/tcp',
      ],
    ],
    [
      'from the internet with a LAN that is off',
      '198.51.100.7',
      ['KILLSWITCH_LAN=off'],
      ['KILLSWITCH_LAN=198.51.100.7:22/tcp', 'KILLSWITCH_LAN_INBOUND=22/tcp'],
    ],
    [
      'from the internet beside a list',
      '198.51.100.7',
      [
        'KILLSWITCH_LAN=192.168.1.0/24,192.168.2.5:8080-8081/tcp',
        'KILLSWITCH_LAN_INBOUND=1-100/tcp',
      ],
      ['KILLSWITCH_LAN=192.168.1.0/24,192.168.2.5:8080-8081/tcp,198.51.100.7:22/tcp'],
    ],
    [
      'over IPv6 that is blocked',
      '2001:db8:1::7',
      ['KILLSWITCH_IPV6=block', 'KILLSWITCH_LAN=off'],
      [
        'KILLSWITCH_LAN=[2001:db8:1::7]:22/tcp',
        'KILLSWITCH_LAN_INBOUND=22/tcp',
        'KILLSWITCH_IPV6=tunnel',
      ],
      '2001:db8::5',
    ],
  ])('%s', (_, there, lines, expected, here) => {
    const host = machine(there.includes(':') ? IPV6_SSHD : {}, there, here);
    const shut = shutLogin(host, settingsOf(...lines));
    expect(shut).toMatchObject({ port: 22, from: { text: there }, lines: expected });
    const after = new Map([...lines, ...expected].map((line) => [line.split('=')[0], line]));
    expect(shutLogin(host, settingsOf(...after.values()))).toBeUndefined();
  });

  test('from anybody on the LAN, for a caller who came by no SSH', () => {
    const shut = shutLogin(machine(), settingsOf());
    expect(shut).toEqual({ port: 22, from: undefined, lines: ['KILLSWITCH_LAN_INBOUND=22/tcp'] });
    expect(shutLogin(machine(), settingsOf(...(shut?.lines ?? [])))).toBeUndefined();
    expect(shutLogin(machine(), settingsOf('KILLSWITCH_LAN=off'))?.lines).toEqual([
      'KILLSWITCH_LAN=192.168.1.0/24:22/tcp',
      'KILLSWITCH_LAN_INBOUND=22/tcp',
    ]);
  });

  test('from somebody who is not known, on a machine with a public address alone', () => {
    const host = machine({ '/proc/net/route': ROUTES + PUBLIC });
    for (const lines of [[], ['KILLSWITCH_LAN_INBOUND=22/tcp']])
      expect(shutLogin(host, settingsOf(...lines))?.lines).toEqual([
        'KILLSWITCH_LAN=ADDRESS:22/tcp',
        ...(lines.length === 0 ? ['KILLSWITCH_LAN_INBOUND=22/tcp'] : []),
      ]);
    expect(
      shutLogin(
        host,
        settingsOf('KILLSWITCH_LAN=198.51.100.7:22/tcp', 'KILLSWITCH_LAN_INBOUND=22/tcp'),
      ),
    ).toBeUndefined();
  });
});

describe('a login that comes in through a tunnel', () => {
  const LIVE = {
    '/run/ovpn-killswitch/tunnels/tun0': JSON.stringify({
      version: 1,
      device: 'tun0',
      endpoints: [],
      addresses: ['10.8.0.2'],
      resolvers: [],
      networks: ['10.8.0.0/24'],
      since: 1,
      daemon: null,
      deviceSeen: false,
    }),
    '/sys/class/net/tun0/tun_flags': '0x1001',
  };

  test('is let in by the port that the settings open to the tunnel', () => {
    const host = machine(LIVE, '10.8.0.9', '10.8.0.2');
    const shut = shutLogin(host, settingsOf());
    expect(shut?.lines).toEqual(['KILLSWITCH_TUNNEL_INBOUND=22/tcp']);
    expect(shutLogin(host, settingsOf(...(shut?.lines ?? [])))).toBeUndefined();
  });

  test('counts for somebody, also before it is up', () => {
    expect(shutLogin(machine(), settingsOf('KILLSWITCH_TUNNEL_INBOUND=22/tcp'))).toBeUndefined();
  });

  test('has no line where the network of a tunnel stands in the way', () => {
    expect(shutLogin(machine(LIVE, '10.8.0.9', '192.168.1.5'), settingsOf())?.lines).toEqual([]);
  });
});

describe('nothing is shut', () => {
  test.each<[why: string, files: Readonly<Record<string, string>>]>([
    ['no sshd listens', { '/proc/net/tcp': HEAD }],
    ['another program of that port listens', { '/proc/9/comm': 'node\n' }],
    [
      'an account listens',
      { '/proc/net/tcp': (HEAD + listens(ANY4, 2)).replace(/ 0( +0 2 )/, ' 1000$1') },
    ],
    ['sshd listens on loopback alone', { '/proc/net/tcp': HEAD + listens('0100007F:0016', 2) }],
  ])('where %s', (_, files) => {
    expect(shutLogin(machine(files), settingsOf())).toBeUndefined();
  });

  test('where one sshd of two can be reached', () => {
    const host = machine({
      '/proc/net/tcp': HEAD + listens(ANY4, 2) + listens('00000000:08AE', 3),
    });
    expect(shutLogin(host, settingsOf('KILLSWITCH_LAN_INBOUND=2222/tcp'))).toBeUndefined();
  });
});

test('an sshd that systemd listens for is seen too', () => {
  const files = {
    '/proc/9/comm': 'node\n',
    '/proc/1/comm': 'systemd\n',
    '/proc/1/fd/40': '',
    '/etc/systemd/system/ssh.socket.d/port.conf':
      '[Socket]\nListenStream=\nListenStream=0.0.0.0:22\n',
  };
  const own = machine(files);
  const place = own.place;
  const host = {
    ...own,
    place: (path: string) => (path === '/proc/1/fd/40' ? '/proc/1/fd/socket:[2]' : place(path)),
  };
  expect(shutLogin(host, settingsOf())).toMatchObject({ port: 22, from: undefined });
  host.files.delete('/etc/systemd/system/ssh.socket.d/port.conf');
  expect(shutLogin(host, settingsOf())).toBeUndefined();
});
