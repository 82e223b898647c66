import { describe, expect, test } from 'vitest';
import { bootTimeIn, secondsUntil } from '../../../src/machine/boot-time.ts';
import { keepBaseTexts, readBaseTexts } from '../../../src/record/base-texts.ts';
import {
  bootsLocked,
  type LockRecord,
  readLockRecord,
  writeLockRecord,
} from '../../../src/record/lock-record.ts';
import { savedAccounts, saveKnown } from '../../../src/record/saved-known.ts';
import {
  keepSettings,
  settingsChanged,
  settingsInForce,
} from '../../../src/record/settings-in-force.ts';
import { SSH_SESSIONS } from '../../../src/record/ssh-sessions.ts';
import { adoptTrial, beginTrial } from '../../../src/record/trial.ts';
import { carryOutDue, confirmLock } from '../../../src/transaction/due.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';

const PLAIN = '/var/lib/ovpn-killswitch/lock.plain';

function machine(boot = 'first'): FakeHost {
  return fakeHost({
    files: { '/proc/uptime': '1000.5 3000.0\n', '/proc/sys/kernel/random/boot_id': `${boot}\n` },
  });
}

function wait(host: FakeHost, seconds: number): void {
  host.files.set('/proc/uptime', `${1000.5 + seconds} 3000.0\n`);
}

function record(host: FakeHost, locked: boolean): LockRecord {
  return {
    locked,
    since: 1,
    backend: 'nftables',
    wall: false,
    before: [],
    made: [],
    term: { kind: 'timed', ends: bootTimeIn(host, 60) },
  };
}

describe('a moment', () => {
  test('comes when its time has passed since the boot, whatever the clock says', () => {
    const host = machine();
    const moment = bootTimeIn(host, 60);
    expect(secondsUntil(host, moment)).toBe(60);
    wait(host, 59);
    expect(secondsUntil(host, moment)).toBe(1);
    wait(host, 3600);
    expect(secondsUntil(host, moment)).toBe(0);
  });

  test('is over after a reboot', () => {
    expect(secondsUntil(machine('second'), bootTimeIn(machine('first'), 60))).toBe(0);
  });
});

describe.each([
  ['a lock that waits to be confirmed', true],
  ['an unlock for some time', false],
])('%s', (_name, locked) => {
  test('holds until its moment, and says the opposite from then on', () => {
    const host = machine();
    writeLockRecord(host, record(host, locked));
    expect(readLockRecord(host)).toMatchObject({
      locked,
      term: { kind: 'timed', ends: { boot: 'first' } },
    });
    wait(host, 61);
    expect(readLockRecord(host)).toEqual({ ...record(machine(), !locked), term: undefined });
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

describe('a lock on trial', () => {
  const STATE = '/var/lib/ovpn-killswitch';
  const TRIAL = '/run/ovpn-killswitch/trial';
  const FILE = '/etc/ovpn-killswitch/killswitch.env';

  const FILES = [`${TRIAL}/base.nft`, `${TRIAL}/endpoints.json`, `${TRIAL}/settings.env`];

  function onTrial(): FakeHost {
    const host = machine();
    host.files.set(`${STATE}/settings.env`, 'KILLSWITCH_LAN=off\n');
    host.files.set(
      `${STATE}/endpoints.json`,
      '{"version":1,"endpoints":[],"uids":[7],"named":[],"pins":[]}',
    );
    host.files.set(`${STATE}/base.v4`, 'the base of before');
    host.files.set(FILE, 'KILLSWITCH_LAN=private\n');
    host.files.set(SSH_SESSIONS, 'the sessions of before');
    beginTrial(host);
    host.remove(SSH_SESSIONS);
    writeLockRecord(host, {
      ...record(host, true),
      locked: true,
      term: { kind: 'trial', ends: bootTimeIn(host, 60) },
    });
    keepBaseTexts(host, { 'base.nft': 'the base on trial\n' }, TRIAL);
    const known = {
      endpoints: [],
      uids: [0],
      dhcpUids: [],
      literal: [],
      named: [],
      pins: [],
      unread: [],
    };
    saveKnown(host, known, TRIAL);
    keepSettings(host, TRIAL);
    return host;
  }

  test('is in force until its moment, and the one before from then on', () => {
    const host = onTrial();
    expect(settingsInForce(host, readLockRecord(host)).lan.kind).toBe('private');
    expect(settingsChanged(host, readLockRecord(host))).toBe(false);
    expect(savedAccounts(host, readLockRecord(host)).uids).toEqual([0]);
    expect(carryOutDue(host)).toBe('waits');
    wait(host, 61);
    expect(readLockRecord(host)).toMatchObject({ locked: true });
    expect(readLockRecord(host)).not.toHaveProperty('term');
    expect(settingsInForce(host, readLockRecord(host)).lan.kind).toBe('off');
    expect(settingsChanged(host, readLockRecord(host))).toBe(true);
  });

  test('ends with the boot, which loads the previous base', () => {
    const host = onTrial();
    expect(host.files.get(PLAIN)).toBe('locked\n');
    expect(bootsLocked(readLockRecord(host))).toBe(true);
    expect(host.files.get(`${STATE}/base.v4`)).toBe('the base of before');
    expect(host.files.has(`${STATE}/base.nft`)).toBe(false);
    host.files.set('/proc/sys/kernel/random/boot_id', 'second\n');
    expect(readLockRecord(host)).toMatchObject({ locked: true });
    expect(settingsInForce(host, readLockRecord(host)).lan.kind).toBe('off');
  });

  test('is as good as none while its files are missing: the previous lock is in force, never the settings file', () => {
    const host = onTrial();
    host.remove(TRIAL);
    expect(settingsInForce(host, readLockRecord(host)).lan.kind).toBe('off');
    expect(settingsChanged(host, readLockRecord(host))).toBe(true);
  });

  test('is adopted as what the machine boots with', () => {
    const host = onTrial();
    adoptTrial(host);
    wait(host, 61);
    expect(settingsInForce(host, readLockRecord(host)).lan.kind).toBe('private');
    expect(savedAccounts(host, readLockRecord(host)).uids).toEqual([0]);
    expect(readBaseTexts(host)).toEqual({ 'base.nft': 'the base on trial\n' });
  });

  test.each(FILES)('is not adopted without %s, and what lasts stays', (path) => {
    const host = onTrial();
    host.remove(path);
    const before = new Map(host.files);
    expect(() => adoptTrial(host)).toThrow(/is incomplete, so the lock on trial cannot be read/);
    expect(host.files).toEqual(before);
  });

  test('is confirmed when the kernel has it, and not before', () => {
    const host = onTrial();
    wait(host, 59);
    // There is no tool here that could ask.
    expect(() => confirmLock(host)).toThrow(/nft is not installed/);
    // It was not over between the two, and is taken back later.
    wait(host, 61);
    expect(host.started).toEqual([['in 60 s', '/usr/local/sbin/ovpn-killswitch', 'due']]);
    expect(settingsInForce(host, readLockRecord(host)).lan.kind).toBe('private');
    expect(host.files.get(`${STATE}/base.v4`)).toBe('the base of before');
    expect(readLockRecord(host)).toHaveProperty('term.kind', 'trial');
  });

  test('that cannot be taken back is tried again, and the previous lock is in force all the same, its SSH sessions too', () => {
    const host = onTrial();
    wait(host, 61);
    for (const times of [1, 2]) {
      expect(() => carryOutDue(host)).toThrow(/nft is not installed/);
      expect(host.started).toEqual(
        Array.from({ length: times }, () => ['in 10 s', '/usr/local/sbin/ovpn-killswitch', 'due']),
      );
    }
    expect(settingsInForce(host, readLockRecord(host)).lan.kind).toBe('off');
    expect(host.files.get(SSH_SESSIONS)).toBe('the sessions of before');
  });
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
