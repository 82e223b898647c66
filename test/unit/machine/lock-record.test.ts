import { describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import { type LockRecord, readLockRecord, writeLockRecord } from '../../../src/machine/lock-record.ts';
import { readWorld } from '../../../src/machine/world.ts';
import { fakeHost } from '../../support/fake-host.ts';

const FILE = `${PATHS.state}/lock.json`;
const RECORD: LockRecord = {
  locked: true,
  since: 1_800_000_000,
  backend: 'iptables',
  before: [
    { family: 'ipv4', chain: 'INPUT', policy: 'ACCEPT' },
    { family: 'ipv6', chain: 'FORWARD', policy: 'DROP' },
  ],
  made: [{ family: 'ipv6', chain: 'OUTPUT' }],
};
const recorded = () => {
  const host = fakeHost();
  writeLockRecord(host, RECORD);
  return host;
};

describe('the record of what a human said last', () => {
  test.each<readonly [string, LockRecord]>([
    ['locked', RECORD],
    ['unlocked', { ...RECORD, locked: false, backend: 'nftables', before: [], made: [] }],
  ])('is read as it was written: %s', (_, record) => {
    const host = fakeHost();
    writeLockRecord(host, record);
    expect(readLockRecord(host)).toEqual(record);
  });

  test('has the policies as plain lines too, for a shell script', () => {
    expect(recorded().files.get(`${PATHS.state}/before.policies`)).toBe('ipv4 INPUT ACCEPT\nipv6 FORWARD DROP\n');
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

  test('drops policies that are none', () => {
    const text = JSON.stringify({
      ...RECORD,
      before: [...RECORD.before, { family: 'ipv4', chain: 'INPUT', policy: 'OPEN' }, 'x', null, { chain: 'INPUT' }],
    });
    expect(readLockRecord(fakeHost({ files: { [FILE]: text } }))?.before).toEqual(RECORD.before);
  });
});

describe('the world that a backend is chosen in', () => {
  test('is what is installed here', () => {
    const host = fakeHost({
      programs: ['nft', 'iptables-restore', 'iptables-save', 'ip6tables-save', 'dockerd'],
      files: { [`${PATHS.ipv6}/conf/all/forwarding`]: '0' },
    });
    expect(readWorld(host, 'auto')).toEqual({
      setting: 'auto',
      locked: undefined,
      has: { nft: true, iptables: true, ip6tables: false },
      ipv6: true,
      neighbours: { firewalld: false, docker: true, libvirt: false, netfilterPersistent: false },
    });
    expect(readWorld(fakeHost({ programs: ['firewalld', 'netfilter-persistent'] }), 'nftables')).toEqual({
      setting: 'nftables',
      locked: undefined,
      has: { nft: false, iptables: false, ip6tables: false },
      ipv6: false,
      neighbours: { firewalld: true, docker: false, libvirt: false, netfilterPersistent: true },
    });
  });

  test('keeps the backend it is locked with, unless it is locked anew', () => {
    expect(readWorld(recorded(), 'nftables').locked).toBe('iptables');
    expect(readWorld(recorded(), 'nftables', true).locked).toBeUndefined();
    const host = fakeHost();
    writeLockRecord(host, { ...RECORD, locked: false });
    expect(readWorld(host, 'nftables').locked).toBeUndefined();
  });
});
