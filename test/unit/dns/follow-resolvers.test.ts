import { describe, expect, test } from 'vitest';
import {
  followResolvers,
  followResolversOrSay,
  readResolvers,
} from '../../../src/dns/follow-resolvers.ts';
import { KillswitchError } from '../../../src/errors.ts';
import type { Command, Output } from '../../../src/host/command.ts';
import { removeTunnelFile, writeLiveTunnel } from '../../../src/record/live-tunnels.ts';
import { writeLockRecord } from '../../../src/record/lock-record.ts';
import { type FakeHost, type FakeMachine, fakeHost } from '../../support/fake-host.ts';
import { tunnelOf } from '../../support/policies.ts';

const CONF = '/etc/resolv.conf';
const SETTINGS = '/etc/ovpn-killswitch/killswitch.env';
const HERE = 'nameserver 192.0.2.1\noptions edns0';
const [TUN0, TUN1] = [
  tunnelOf({ device: 'tun0', addresses: ['10.8.0.6'], resolvers: ['10.8.0.1'] }),
  tunnelOf({ device: 'tun1', addresses: ['10.9.0.6'], resolvers: ['10.9.0.1'] }),
];

function locked(machine: FakeMachine): FakeHost {
  const host = fakeHost({
    ...machine,
    files: { [CONF]: HERE, '/proc/net/dev': '', ...machine.files },
  });
  writeLockRecord(host, {
    locked: true,
    since: 1,
    backend: 'nftables',
    wall: false,
    before: [],
    made: [],
  });
  return host;
}

function connect(host: FakeHost, tunnel = TUN0, since = 1): ReturnType<typeof followResolvers> {
  writeLiveTunnel(host, { tunnel, since, daemon: undefined, deviceSeen: false });
  return followResolvers(host);
}

function leave(host: FakeHost, tunnel = TUN0): ReturnType<typeof followResolvers> {
  removeTunnelFile(host, tunnel.device);
  return followResolvers(host);
}

const calls = (host: FakeHost) =>
  host.commands.map(({ program, args }) => [program, ...args].join(' '));
const servers = (text: string | undefined) =>
  [...(text ?? '').matchAll(/^nameserver (\S+)/gm)].map(([, server]) => server);
const ownFiles = (host: FakeHost) =>
  [...host.files.keys()].filter((path) => path.includes('/dns/'));

describe('the plain file', () => {
  test('names the tunnel’s resolvers while it is up, and is byte for byte what it was afterwards', () => {
    const host = locked({});
    expect(connect(host)).toMatchObject({ kind: 'set', choice: { names: ['file'] } });
    expect(servers(host.files.get(CONF))).toEqual(['10.8.0.1']);
    expect(leave(host)).toEqual({ kind: 'given-back' });
    expect(host.files.get(CONF)).toBe(HERE);
    expect(ownFiles(host)).toEqual([]);
    expect(calls(host)).toEqual([]);
  });

  test('is left alone when nothing has changed', () => {
    const host = locked({});
    connect(host);
    expect(followResolvers(host)).toEqual({ kind: 'unchanged' });
    expect(followResolvers(host, true)).toEqual({ kind: 'unchanged' });
    leave(host);
    expect(followResolvers(host)).toEqual({ kind: 'unchanged' });
  });

  test.each([
    [TUN0, TUN1],
    [TUN1, TUN0],
  ])('loses only the resolvers of the tunnel that leaves, in any order', (first, second) => {
    const host = locked({});
    connect(host, TUN0, 1);
    connect(host, TUN1, 2);
    expect(servers(host.files.get(CONF))).toEqual(['10.9.0.1', '10.8.0.1']);
    leave(host, first);
    expect(servers(host.files.get(CONF))).toEqual(second.resolvers.map(({ text }) => text));
    leave(host, second);
    expect(host.files.get(CONF)).toBe(HERE);
  });

  test('that somebody else writes meanwhile is set again, and then theirs comes back', () => {
    const host = locked({});
    connect(host);
    host.files.set(CONF, 'nameserver 198.51.100.1\n');
    expect(followResolvers(host)).toMatchObject({ kind: 'set' });
    expect(servers(host.files.get(CONF))).toEqual(['10.8.0.1']);
    leave(host);
    expect(host.files.get(CONF)).toBe('nameserver 198.51.100.1\n');
  });

  test('that somebody else has written since the last look stays theirs when the tunnel leaves', () => {
    const host = locked({});
    connect(host);
    host.files.set(CONF, 'nameserver 198.51.100.1\n');
    leave(host);
    expect(host.files.get(CONF)).toBe('nameserver 198.51.100.1\n');
    expect(ownFiles(host)).toEqual([]);
  });

  test('that was not there is not there afterwards', () => {
    const host = locked({});
    host.files.delete(CONF);
    connect(host);
    expect(servers(host.files.get(CONF))).toEqual(['10.8.0.1']);
    leave(host);
    expect(host.files.has(CONF)).toBe(false);
  });

  test('is changed where its link leads, and what it was is kept where it lasts as long', () => {
    const lasting = locked({
      links: { [CONF]: '/etc/resolv.static' },
      files: { '/etc/resolv.static': HERE },
    });
    const passing = locked({
      links: { [CONF]: '/run/dhcp/resolv.conf' },
      files: { '/run/dhcp/resolv.conf': HERE },
    });
    connect(lasting);
    connect(passing);
    expect(servers(lasting.files.get('/etc/resolv.static'))).toEqual(['10.8.0.1']);
    expect(ownFiles(lasting).every((path) => path.startsWith('/var/lib/'))).toBe(true);
    expect(ownFiles(passing).every((path) => path.startsWith('/run/'))).toBe(true);
    leave(lasting);
    leave(passing);
    expect(lasting.files.get('/etc/resolv.static')).toBe(HERE);
    expect(passing.files.get('/run/dhcp/resolv.conf')).toBe(HERE);
  });

  test('that leads nowhere is left alone, and said so', () => {
    const host = locked({ links: { [CONF]: '/run/gone/resolv.conf' } });
    writeLiveTunnel(host, { tunnel: TUN0, since: 1, daemon: undefined, deviceSeen: false });
    expect(() => followResolvers(host)).toThrow(expect.objectContaining({ code: 'RESOLVERS' }));
    expect(host.files.has('/run/gone/resolv.conf')).toBe(false);
  });

  test('that is immutable is reported as such, in the log, and nothing is thrown at a hook', () => {
    const host = locked({});
    const refusal = new KillswitchError('FILES', 'could not rewrite', '', [
      'EPERM: operation not permitted',
    ]);
    const stubborn: FakeHost = {
      ...host,
      rewrite: () => {
        throw refusal;
      },
    };
    writeLiveTunnel(host, { tunnel: TUN0, since: 1, daemon: undefined, deviceSeen: false });
    expect(followResolversOrSay(stubborn)).toMatchObject({ code: 'RESOLVERS' });
    expect(host.logged.map(({ message }) => message).join('\n')).toMatch(/immutable.*chattr -i/s);
    expect(host.files.get(CONF)).toBe(HERE);
  });

  test('comes back after a power cut, which forgets the tunnels and not the file', () => {
    const host = locked({});
    connect(host);
    for (const path of host.files.keys()) if (path.startsWith('/run/')) host.files.delete(path);
    expect(readResolvers(host, false).differences).not.toEqual([]);
    expect(followResolvers(host)).toEqual({ kind: 'given-back' });
    expect(host.files.get(CONF)).toBe(HERE);
  });

  test('comes back when a tunnel vanished silently', () => {
    const host = locked({});
    writeLiveTunnel(host, { tunnel: TUN0, since: 1, daemon: undefined, deviceSeen: true });
    host.files.set('/proc/net/dev', '  tun0: 0\n');
    host.files.set('/sys/class/net/tun0/tun_flags', '0x1001\n');
    followResolvers(host);
    host.files.set('/proc/net/dev', '    lo: 0\n');
    expect(followResolvers(host)).toEqual({ kind: 'given-back' });
    expect(host.files.get(CONF)).toBe(HERE);
  });
});

describe('the settings', () => {
  test('leave DNS alone with KILLSWITCH_RESOLVER=off, and restore what was set before they said so', () => {
    const host = locked({ files: { [SETTINGS]: 'KILLSWITCH_RESOLVER=off\n' } });
    expect(connect(host)).toEqual({ kind: 'unchanged' });
    expect(host.files.get(CONF)).toBe(HERE);
    host.files.delete(SETTINGS);
    followResolvers(host);
    host.files.set(SETTINGS, 'KILLSWITCH_RESOLVER=off\n');
    expect(followResolvers(host)).toEqual({ kind: 'given-back' });
    expect(host.files.get(CONF)).toBe(HERE);
  });

  test('name other resolvers with KILLSWITCH_DNS', () => {
    const host = locked({ files: { [SETTINGS]: 'KILLSWITCH_DNS=9.9.9.9\n' } });
    connect(host);
    expect(servers(host.files.get(CONF))).toEqual(['9.9.9.9']);
  });
});

test('a machine that is unlocked, or on which nobody has decided, keeps its own resolvers', () => {
  const open = locked({});
  connect(open);
  writeLockRecord(open, {
    locked: false,
    since: 2,
    backend: 'nftables',
    wall: false,
    before: [],
    made: [],
  });
  open.files.set(SETTINGS, 'damaged');
  expect(followResolvers(open)).toEqual({ kind: 'given-back' });
  expect(open.files.get(CONF)).toBe(HERE);
  const undecided = fakeHost({ files: { [CONF]: HERE } });
  expect(connect(undecided)).toEqual({ kind: 'unchanged' });
});

describe('systemd-resolved', () => {
  const machine = (answer?: (command: Command) => Partial<Output>): FakeHost =>
    locked({
      programs: ['resolvectl'],
      links: { [CONF]: '/run/systemd/resolve/stub-resolv.conf' },
      files: {
        '/run/systemd/resolve/stub-resolv.conf': 'nameserver 127.0.0.53\n',
        '/sys/class/net/tun0/ifindex': '7\n',
        '/sys/class/net/tun1/ifindex': '8\n',
      },
      ...(answer === undefined ? {} : { answer }),
    });

  test('is told servers, domains and the default route of each link, and to forget what it has cached', () => {
    const host = machine();
    expect(connect(host)).toMatchObject({ kind: 'set', choice: { names: ['resolved'] } });
    expect(calls(host)).toEqual([
      'resolvectl dns tun0 10.8.0.1',
      'resolvectl domain tun0 ~.',
      'resolvectl default-route tun0 yes',
      'resolvectl flush-caches',
    ]);
  });

  test('is told of DNSSEC and TLS where the server pushed them', () => {
    const host = machine();
    const [resolver] = TUN0.resolvers;
    if (resolver === undefined) throw new Error('it has one');
    connect(host, { ...TUN0, resolvers: [{ ...resolver, transport: 'tls', dnssec: 'optional' }] });
    expect(calls(host)).toEqual(
      expect.arrayContaining([
        'resolvectl dnssec tun0 allow-downgrade',
        'resolvectl dnsovertls tun0 yes',
      ]),
    );
  });

  test('is told nothing twice', () => {
    const host = machine();
    connect(host);
    host.commands.length = 0;
    expect(followResolvers(host)).toEqual({ kind: 'unchanged' });
    connect(host, TUN1, 2);
    expect(calls(host).filter((call) => call.includes('tun0'))).toEqual([]);
  });

  test('is told nothing when a device has taken its resolvers with it, and to revert one that has stayed', () => {
    const host = machine();
    connect(host, TUN0, 1);
    connect(host, TUN1, 2);
    host.commands.length = 0;
    host.files.delete('/sys/class/net/tun0/ifindex');
    leave(host, TUN0);
    expect(calls(host)).toEqual([]);
    leave(host, TUN1);
    expect(calls(host)).toEqual(['resolvectl revert tun1']);
    expect(ownFiles(host)).toEqual([]);
  });

  test('that does not hold any more what it was told is found by asking it, and told again', () => {
    let forgotten = false;
    const host = machine(({ args: [what] }) => {
      const held =
        { dns: 'Link 7 (tun0): 10.8.0.1\n', domain: 'Link 7 (tun0): ~.\n' }[what ?? ''] ?? '';
      return { stdout: forgotten ? 'Link 7 (tun0):\n' : held };
    });
    connect(host);
    expect(followResolvers(host, true)).toEqual({ kind: 'unchanged' });
    forgotten = true;
    expect(followResolvers(host)).toEqual({ kind: 'unchanged' });
    host.commands.length = 0;
    expect(followResolvers(host, true)).toMatchObject({ kind: 'set' });
    expect(calls(host)).toContain('resolvectl dns tun0 10.8.0.1');
  });

  test('that failed half way is told all of it again', () => {
    let fails = true;
    const host = machine(({ args: [what] }) => ({ status: fails && what === 'domain' ? 1 : 0 }));
    expect(() => connect(host)).toThrow(expect.objectContaining({ code: 'RESOLVERS' }));
    fails = false;
    host.commands.length = 0;
    expect(followResolvers(host)).toMatchObject({ kind: 'set' });
    expect(calls(host).slice(0, 2)).toEqual([
      'resolvectl dns tun0 10.8.0.1',
      'resolvectl domain tun0 ~.',
    ]);
    expect(followResolvers(host)).toEqual({ kind: 'unchanged' });
  });

  test('that does not answer is a difference for a look at the status, and no error', () => {
    let stopped = false;
    const host = machine(() => (stopped ? { status: 1 } : {}));
    connect(host);
    stopped = true;
    expect(readResolvers(host, true).differences).toEqual([
      expect.stringContaining('asks nobody for tun0'),
    ]);
  });

  test('that fails is an error that names the call', () => {
    const host = machine(() => ({
      status: 1,
      stderr:
        'Failed to set DNS configuration: Unit dbus-org.freedesktop.resolve1.service not found.\n',
    }));
    expect(() => connect(host)).toThrow(
      expect.objectContaining({
        code: 'RESOLVERS',
        detail: expect.arrayContaining(['resolvectl dns tun0 10.8.0.1']),
      }),
    );
  });
});

/** A resolvconf that makes /etc/resolv.conf of its records. */
function openresolv(refuses = false): FakeHost {
  return locked({
    programs: ['resolvconf'],
    files: { [CONF]: '# Generated by resolvconf\nnameserver 192.0.2.1\n' },
    answer: ({ args, stdin }, host) => {
      if (args[0] === '--version') return { stdout: 'openresolv 3.12.0\n' };
      if (refuses) return { status: 1, stderr: 'signature mismatch\n' };
      const lines = args.includes('-a') ? stdin : 'nameserver 192.0.2.1\n';
      if (args[0] !== '-l') host.files.set(CONF, `# Generated by resolvconf\n${lines}`);
      return {};
    },
  });
}

describe('openresolv', () => {
  test('gets one exclusive record for all tunnels, and loses it with the last', () => {
    const host = openresolv();
    connect(host, TUN0, 1);
    connect(host, TUN1, 2);
    leave(host, TUN0);
    leave(host, TUN1);
    const record = 'resolvconf -m 0 -x -a tun.ovpn-killswitch';
    expect(calls(host).filter((call) => !call.includes('--version'))).toEqual([
      record,
      record,
      record,
      'resolvconf -d tun.ovpn-killswitch',
    ]);
    expect(host.commands.flatMap(({ stdin }) => stdin ?? [])).toEqual([
      'nameserver 10.8.0.1\n',
      'nameserver 10.9.0.1\nnameserver 10.8.0.1\n',
      'nameserver 10.9.0.1\n',
    ]);
    expect(ownFiles(host)).toEqual([]);
  });

  test('has left its file on the disk after a power cut: it comes back as it was', () => {
    const host = openresolv();
    const before = host.files.get(CONF);
    connect(host);
    for (const path of host.files.keys()) if (path.startsWith('/run/')) host.files.delete(path);
    expect(servers(host.files.get(CONF))).toEqual(['10.8.0.1']);
    expect(followResolvers(host)).toEqual({ kind: 'given-back' });
    expect(host.files.get(CONF)).toBe(before);
  });

  test('that refuses leaves a file like any other', () => {
    const host = openresolv(true);
    connect(host);
    expect(servers(host.files.get(CONF))).toEqual(['10.8.0.1']);
    expect(host.logged).toMatchObject([{ level: 'warn', event: 'resolvers' }]);
    leave(host);
    expect(host.files.get(CONF)).toBe('# Generated by resolvconf\nnameserver 192.0.2.1\n');
  });
});

describe('NetworkManager', () => {
  const DROP_IN = '/run/NetworkManager/conf.d/90-ovpn-killswitch.conf';

  test('gets a file of global DNS that a reboot forgets, and is told to read it', () => {
    const host = locked({
      programs: ['nmcli'],
      files: { [CONF]: '# Generated by NetworkManager\nnameserver 192.0.2.1\n' },
      answer: (_, { files }) => {
        const [, list] = /^servers=(.*)$/m.exec(files.get(DROP_IN) ?? '') ?? [];
        files.set(CONF, `# Generated by NetworkManager\nnameserver ${list ?? '192.0.2.1'}\n`);
        return {};
      },
    });
    const before = host.files.get(CONF);
    connect(host);
    expect(host.files.get(DROP_IN)).toBe('[global-dns]\n[global-dns-domain-*]\nservers=10.8.0.1\n');
    expect(servers(host.files.get(CONF))).toEqual(['10.8.0.1']);
    leave(host);
    expect(calls(host)).toEqual(['nmcli general reload conf', 'nmcli general reload conf']);
    expect(host.files.has(DROP_IN)).toBe(false);
    expect(host.files.get(CONF)).toBe(before);
  });

  test('that does not run leaves a file like any other', () => {
    const host = locked({
      programs: ['nmcli'],
      files: { [CONF]: '# Generated by NetworkManager\nnameserver 192.0.2.1\n' },
      answer: () => ({ status: 8, stderr: 'Error: NetworkManager is not running.\n' }),
    });
    connect(host);
    expect(servers(host.files.get(CONF))).toEqual(['10.8.0.1']);
    leave(host);
    expect(host.files.get(CONF)).toBe('# Generated by NetworkManager\nnameserver 192.0.2.1\n');
    expect(host.files.has(DROP_IN)).toBe(false);
  });
});
