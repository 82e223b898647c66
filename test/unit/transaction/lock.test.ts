import { expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import { writeLiveTunnel } from '../../../src/machine/live-tunnels.ts';
import { readLockRecord, writeLockRecord } from '../../../src/machine/lock-record.ts';
import { askNow, lockMachine } from '../../../src/transaction/lock.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { POLICIES, settingsOf, TUN0, TUN1 } from '../../support/policies.ts';

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

test('the resolvers of a tunnel that is gone are not asked: whoever locks would wait for them in vain', () => {
  const asked: (readonly string[] | undefined)[] = [];
  const host = {
    ...fakeHost({ files: { [PATHS.devices]: '  tun1: 0\n' } }),
    resolve: (_: readonly string[], servers: readonly string[] | undefined) => {
      asked.push(servers);
      return new Map();
    },
  };
  writeLockRecord(host, { locked: true, since: 0, backend: 'nftables', wall: false, before: [], made: [] });
  for (const tunnel of [TUN0, TUN1]) writeLiveTunnel(host, { tunnel, since: 0, daemon: undefined, deviceSeen: true });
  askNow(host, settingsOf({}), 1)([]);
  expect(asked).toEqual([TUN1.resolvers.map(({ text }) => text)]);
});

test('a lock that fails before it has changed the rules leaves an open portal in the record', () => {
  const { portal } = POLICIES['portal, LAN off'];
  const host = {
    ...fakeHost({ files: { [PATHS.settings]: 'KILLSWITCH_BACKEND=nftables\nKILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp\n' } }),
    has: () => true,
    run: ({ program }: { readonly program: string }) => ({
      status: program === 'nft' ? 1 : 0,
      stdout: '',
      stderr: 'No such file or directory',
    }),
  };
  const ends = { boot: '', uptime: Number.MAX_SAFE_INTEGER };
  writeLockRecord(host, { locked: true, since: 0, backend: 'nftables', wall: false, before: [], made: [], portal: { portal, ends } });
  expect(() => lockMachine(host)).toThrow('the kernel refused the rules');
  expect(readLockRecord(host)?.portal?.portal).toEqual(portal);
});
