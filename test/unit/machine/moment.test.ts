import { describe, expect, test } from 'vitest';
import { bootsLocked, type LockRecord, readLockRecord, writeLockRecord } from '../../../src/machine/lock-record.ts';
import { momentIn, secondsUntil } from '../../../src/machine/moment.ts';
import { carryOutDue, confirmLock } from '../../../src/transaction/due.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';

const PLAIN = '/var/lib/ovpn-killswitch/lock.plain';

function machine(boot = 'first'): FakeHost {
  return fakeHost({ files: { '/proc/uptime': '1000.5 3000.0\n', '/proc/sys/kernel/random/boot_id': `${boot}\n` } });
}

function wait(host: FakeHost, seconds: number): void {
  host.files.set('/proc/uptime', `${1000.5 + seconds} 3000.0\n`);
}

function record(host: FakeHost, locked: boolean): LockRecord {
  return { locked, since: 1, backend: 'nftables', wall: false, before: [], made: [], until: momentIn(host, 60) };
}

describe('a moment', () => {
  test('comes when its time has passed since the boot, whatever the clock says', () => {
    const host = machine();
    const moment = momentIn(host, 60);
    expect(secondsUntil(host, moment)).toBe(60);
    wait(host, 59);
    expect(secondsUntil(host, moment)).toBe(1);
    wait(host, 3600);
    expect(secondsUntil(host, moment)).toBe(0);
  });

  test('is over after a reboot', () => {
    expect(secondsUntil(machine('second'), momentIn(machine('first'), 60))).toBe(0);
  });
});

describe.each([
  ['a lock that waits to be confirmed', true],
  ['an unlock for some time', false],
])('%s', (_name, locked) => {
  test('holds until its moment, and says the opposite from then on', () => {
    const host = machine();
    writeLockRecord(host, record(host, locked));
    expect(readLockRecord(host)).toMatchObject({ locked, until: { boot: 'first' } });
    wait(host, 61);
    expect(readLockRecord(host)).toEqual({ ...record(machine(), !locked), until: undefined });
  });

  test('is not there after a reboot: neither for the boot script nor for hooks', () => {
    const host = machine();
    writeLockRecord(host, record(host, locked));
    expect(host.files.get(PLAIN)).toBe(locked ? 'unlocked\n' : 'locked\n');
    expect(bootsLocked(readLockRecord(host))).toBe(!locked);
    host.files.set('/proc/sys/kernel/random/boot_id', 'second\n');
    expect(readLockRecord(host)?.locked).toBe(!locked);
    expect(bootsLocked(readLockRecord(host))).toBe(!locked);
  });

  test('is left alone before its moment', () => {
    const host = machine();
    writeLockRecord(host, record(host, locked));
    expect(carryOutDue(host)).toBe('waits');
    expect(host.commands).toEqual([]);
  });
});

test('a lock that is confirmed lasts, also after a reboot, and is confirmed once', () => {
  const host = machine();
  writeLockRecord(host, record(host, true));
  expect(confirmLock(host)).toBe(true);
  wait(host, 61);
  expect(readLockRecord(host)).toMatchObject({ locked: true });
  expect(carryOutDue(host)).toBe('nothing');
  expect(host.files.get(PLAIN)).toBe('locked\n');
  expect(confirmLock(host)).toBe(false);
});

test('an unlock for some time cannot be confirmed', () => {
  const host = machine();
  writeLockRecord(host, record(host, false));
  expect(confirmLock(host)).toBe(false);
});

test('what is due and cannot be done is tried again', () => {
  const host = machine();
  writeLockRecord(host, record(host, true));
  wait(host, 61);
  // There is no tool here that could take rules away.
  expect(() => carryOutDue(host)).toThrow(/neither nft nor iptables/);
  expect(host.started).toEqual([['in 10 s', '/usr/local/sbin/ovpn-killswitch', 'due']]);
});
