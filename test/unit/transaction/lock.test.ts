import { describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import { bootTimeIn } from '../../../src/machine/boot-time.ts';
import { readLockRecord, writeLockRecord } from '../../../src/record/lock-record.ts';
import { keepSettings } from '../../../src/record/settings-in-force.ts';
import { lockMachine } from '../../../src/transaction/lock.ts';
import { refreshMachine } from '../../../src/transaction/refresh.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';
import { POLICIES } from '../../support/policies.ts';

test('DNS is asked before the lock is taken, so that no hook waits for it', () => {
  const steps: string[] = [];
  const host = {
    ...fakeHost({ files: { '/etc/openvpn/client/a.conf': 'remote vpn.test 1194\n' } }),
    resolve: (names: readonly string[]) => {
      steps.push(`asks for ${names.join(' ')}`);
      return new Map([['vpn.test', ['192.0.2.1']]]);
    },
    exclusively: () => {
      steps.push('takes the lock');
      throw new Error('far enough');
    },
  };
  expect(() => lockMachine(host, { asks: true })).toThrow('far enough');
  expect(steps).toEqual(['asks for vpn.test', 'takes the lock']);
});

test('a lock that fails before it has changed the rules leaves an open portal in the record', () => {
  const { portal } = POLICIES['portal, LAN off'];
  const host = {
    ...fakeHost({
      files: {
        [PATHS.settings]:
          'KILLSWITCH_BACKEND=nftables\nKILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp\n',
      },
    }),
    has: () => true,
    run: ({ program }: { readonly program: string }) => ({
      status: program === 'nft' ? 1 : 0,
      stdout: '',
      stderr: 'No such file or directory',
    }),
  };
  const ends = { boot: '', uptime: Number.MAX_SAFE_INTEGER };
  writeLockRecord(host, {
    locked: true,
    since: 0,
    backend: 'nftables',
    wall: false,
    before: [],
    made: [],
    portal: { portal, ends },
  });
  expect(() => lockMachine(host)).toThrow('the kernel refused the rules');
  expect(readLockRecord(host)?.portal?.portal).toEqual(portal);
});

describe('a lock on trial', () => {
  const LASTING = `${PATHS.state}/endpoints.json`;
  const NAMED = (name: string, address: string) =>
    JSON.stringify({
      version: 1,
      endpoints: [],
      uids: [0],
      named: [`${name}:1194/udp`],
      pins: { [name]: { [address]: 0 } },
    });

  /**
   * Locked with a profile of one server, and its settings now name another profile; the kernel
   * refuses rules.
   */
  function locked(step: (host: FakeHost) => void = () => undefined) {
    const host: FakeHost = {
      ...fakeHost({
        files: {
          '/proc/uptime': '1000 0\n',
          '/etc/hosts': '127.0.0.1 localhost\n',
          '/etc/a.conf': 'remote a.test 1194\n',
          '/etc/b.conf': 'remote b.test 1194\n',
          [LASTING]: NAMED('a.test', '192.0.2.1'),
          [`${PATHS.state}/settings.env`]: 'KILLSWITCH_PROFILES=/etc/a.conf\n',
          [PATHS.settings]:
            'KILLSWITCH_PROFILES=/etc/b.conf\nKILLSWITCH_ENDPOINTS=192.0.2.2:1194/udp\n',
        },
        programs: ['nft'],
      }),
      run: () => ({ status: 1, stdout: '', stderr: 'No such file or directory' }),
      exclusively: (work) => {
        step(host);
        return work();
      },
    };
    writeLockRecord(host, {
      locked: true,
      since: 0,
      backend: 'nftables',
      wall: false,
      before: [],
      made: [],
    });
    return host;
  }

  test('counts its seconds from when it changes something, however long it waited before', () => {
    const host = locked((it) => it.files.set('/proc/uptime', '1100 0\n'));
    const lasting = host.files.get(LASTING);
    expect(() => lockMachine(host, { seconds: 5 })).toThrow('the kernel refused the rules');
    expect(readLockRecord(host)?.term).toMatchObject({ kind: 'trial', ends: { uptime: 1105 } });
    expect(host.started).toEqual([['in 5 s', PATHS.command, 'due']]);
    expect(host.files.get(LASTING)).toBe(lasting);
    expect(host.files.get(`${PATHS.trial}/settings.env`)).toBe(host.files.get(PATHS.settings));
  });

  test('leaves the servers of the lock before in the hosts file: a reboot connects to them', () => {
    const host = locked();
    expect(() => lockMachine(host, { seconds: 5 })).toThrow('the kernel refused the rules');
    expect(host.files.get('/etc/hosts')).toContain('192.0.2.1 a.test');
  });

  test('that is refused for its packet filter leaves no timer and no trace', () => {
    const host = locked();
    host.files.set(PATHS.settings, 'KILLSWITCH_BACKEND=iptables\n');
    const before = new Map(host.files);
    expect(() =>
      lockMachine({ ...host, has: () => true }, { seconds: 5, forgetsSessions: true }),
    ).toThrow('--confirm cannot revert that');
    expect(host.files).toEqual(before);
    expect(host.started).toEqual([]);
  });

  test('keeps nothing that was asked for under another lock: a refresh that it overtakes reads its own profiles', () => {
    const host = locked((it) => {
      // The trial has begun while DNS was asked.
      writeLockRecord(it, {
        locked: true,
        since: 0,
        backend: 'nftables',
        wall: false,
        before: [],
        made: [],
        term: { kind: 'trial', ends: bootTimeIn(it, 60) },
      });
      keepSettings(it, PATHS.trial);
    });
    expect(() => refreshMachine(host)).toThrow();
    expect(host.files.get(`${PATHS.trial}/endpoints.json`)).toContain('b.test:1194/udp');
    expect(host.files.get(`${PATHS.trial}/endpoints.json`)).not.toContain('a.test:1194/udp');
    expect(host.files.get(LASTING)).toBe(NAMED('a.test', '192.0.2.1'));
  });
});
