import { describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import { readBackendFacts } from '../../../src/machine/backend-facts.ts';
import {
  type LockRecord,
  readLockRecord,
  refusedRecord,
  writeLockRecord,
} from '../../../src/record/lock-record.ts';
import { openedPortalJson } from '../../../src/record/portal-record.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { POLICIES } from '../../support/policies.ts';

const FILE = `${PATHS.state}/lock.json`;
const RECORD = {
  locked: true,
  since: 1_800_000_000,
  backend: 'iptables',
  wall: true,
  before: [
    { family: 'ipv4', chain: 'INPUT', policy: 'ACCEPT' },
    { family: 'ipv6', chain: 'FORWARD', policy: 'DROP' },
  ],
  made: [{ family: 'ipv6', chain: 'OUTPUT', table: 'security' }],
} as const satisfies LockRecord;
const ENDS = { boot: 'this', uptime: 100 };
const PORTAL = { portal: POLICIES['portal, LAN off'].portal, ends: ENDS };
const recorded = () => {
  const host = fakeHost();
  writeLockRecord(host, RECORD);
  return host;
};

describe('the record of what a human said last', () => {
  test.each<readonly [string, LockRecord]>([
    ['locked', RECORD],
    ['unlocked', { ...RECORD, locked: false, backend: 'nftables', before: [], made: [] }],
    ['unlocked for a time', { ...RECORD, locked: false, term: { kind: 'timed', ends: ENDS } }],
    ['locked until nobody confirms it', { ...RECORD, term: { kind: 'timed', ends: ENDS } }],
    ['on trial', { ...RECORD, term: { kind: 'trial', ends: ENDS } }],
    ['with a portal', { ...RECORD, portal: PORTAL }],
    ['on trial with a portal', { ...RECORD, term: { kind: 'trial', ends: ENDS }, portal: PORTAL }],
  ])('is read as it was written: %s', (_, record) => {
    const host = fakeHost({
      files: { '/proc/uptime': '10.0 1\n', '/proc/sys/kernel/random/boot_id': 'this\n' },
    });
    writeLockRecord(host, record);
    expect(readLockRecord(host)).toEqual(record);
  });

  test('has the policies as plain lines too, for a shell script', () => {
    expect(recorded().files.get(`${PATHS.state}/before.policies`)).toBe(
      'ipv4 INPUT ACCEPT\nipv6 FORWARD DROP\n',
    );
  });

  test.each([
    '',
    '{',
    '[]',
    'null',
    '{"locked":"yes"}',
    '{"locked":true,"since":1}',
    '{"locked":true,"since":1,"backend":"pf"}',
    '{"locked":true,"since":"1","backend":"iptables"}',
  ])('is none when the file holds %j', (text) => {
    expect(readLockRecord(fakeHost({ files: { [FILE]: text } }))).toBeUndefined();
  });

  test.each([
    ['on trial and for a time', { until: ENDS, trial: ENDS }, 'on trial'],
    ['open and on trial', { locked: false, trial: ENDS }, 'open'],
    ['open with a portal', { locked: false, portal: openedPortalJson(PORTAL) }, 'open'],
  ])('is refused when it says two things at once: %s', (_, fields, why) => {
    const host = fakeHost({ files: { [FILE]: JSON.stringify({ ...RECORD, ...fields }) } });
    expect(readLockRecord(host)).toBeUndefined();
    expect(refusedRecord(host)).toContain(why);
  });

  test.each([
    ['0.1.0', {}, {}],
    ['a version that knew no trial', { until: ENDS }, { term: { kind: 'timed', ends: ENDS } }],
    [
      'a version that wrote the trial beside the rest',
      { trial: ENDS },
      { term: { kind: 'trial', ends: ENDS } },
    ],
  ])('is read as %s left it', (_, fields, read) => {
    const { wall: _wall, made: _made, ...older } = RECORD;
    const files = {
      [FILE]: JSON.stringify({ version: 1, ...older, ...fields }),
      '/proc/uptime': '10.0 1\n',
      '/proc/sys/kernel/random/boot_id': 'this\n',
    };
    expect(readLockRecord(fakeHost({ files }))).toEqual({
      ...older,
      wall: false,
      made: [],
      ...read,
    });
  });

  test('drops policies that are none', () => {
    const text = JSON.stringify({
      ...RECORD,
      before: [
        ...RECORD.before,
        { family: 'ipv4', chain: 'INPUT', policy: 'OPEN' },
        'x',
        null,
        { chain: 'INPUT' },
      ],
    });
    expect(readLockRecord(fakeHost({ files: { [FILE]: text } }))?.before).toEqual(RECORD.before);
  });
});

describe('the facts that choose a backend', () => {
  test('is what is installed here', () => {
    const host = fakeHost({
      programs: ['nft', 'iptables-restore', 'iptables-save', 'ip6tables-save'],
      files: { [`${PATHS.ipv6}/conf/all/forwarding`]: '0' },
    });
    expect(readBackendFacts(host, 'auto', undefined)).toEqual({
      setting: 'auto',
      locked: undefined,
      has: { nft: true, iptables: true, ip6tables: false },
      ipv6: true,
      flushed: expect.any(Function),
      wall: expect.any(Function),
      frames: expect.any(Function),
      iptablesFails: expect.any(Function),
      nftablesFails: expect.any(Function),
    });
    expect(readBackendFacts(fakeHost({ programs: [] }), 'nftables', undefined)).toEqual({
      setting: 'nftables',
      locked: undefined,
      has: { nft: false, iptables: false, ip6tables: false },
      ipv6: false,
      flushed: expect.any(Function),
      wall: expect.any(Function),
      frames: expect.any(Function),
      iptablesFails: expect.any(Function),
      nftablesFails: expect.any(Function),
    });
  });

  test('has a second wall where the kernel has its table in both families, and is asked for that by lock alone', () => {
    const asked = (missing: string | undefined, mayChangeRules = true) => {
      const host = fakeHost({
        programs: ['iptables-restore', 'ip6tables-restore'],
        files: { [PATHS.ipv6]: '' },
        answer: ({ program }) => (program === missing ? { status: 1 } : {}),
      });
      return {
        wall: readBackendFacts(
          { ...host, mayChangeRules: () => mayChangeRules },
          'auto',
          'anew',
        ).wall(),
        host,
      };
    };
    expect(asked(undefined).wall).toBe(true);
    expect(asked('iptables-restore').wall).toBe(false);
    expect(asked('ip6tables-restore').wall).toBe(false);
    expect(asked('iptables-restore', false)).toMatchObject({ wall: true, host: { commands: [] } });
    for (const wall of [true, false]) {
      const host = fakeHost();
      writeLockRecord(host, { ...RECORD, wall });
      expect(readBackendFacts(host, 'auto', readLockRecord(host)).wall()).toBe(wall);
      expect(host.commands).toEqual([]);
    }
  });

  test('of a machine that an older version has locked has none', () => {
    const { wall: _, ...older } = RECORD;
    const host = fakeHost({
      files: { [FILE]: JSON.stringify({ ...older, made: [{ family: 'ipv6', chain: 'OUTPUT' }] }) },
    });
    expect(readBackendFacts(host, 'auto', readLockRecord(host)).wall()).toBe(false);
    expect(readLockRecord(host)?.made).toEqual([
      { family: 'ipv6', table: 'filter', chain: 'OUTPUT' },
    ]);
  });

  test('keeps the backend it is locked with, unless it is locked anew', () => {
    expect(readBackendFacts(recorded(), 'nftables', readLockRecord(recorded())).locked).toBe(
      'iptables',
    );
    expect(readBackendFacts(recorded(), 'nftables', 'anew').locked).toBeUndefined();
    const host = fakeHost();
    writeLockRecord(host, { ...RECORD, locked: false });
    expect(readBackendFacts(host, 'nftables', readLockRecord(host)).locked).toBeUndefined();
  });
});
