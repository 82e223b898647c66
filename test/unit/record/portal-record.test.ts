import { expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import {
  type LockRecord,
  openPortalOf,
  readLockRecord,
  writeLockRecord,
} from '../../../src/record/lock-record.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { POLICIES } from '../../support/policies.ts';

const { portal } = POLICIES['portal, LAN off'];
const [BOOT_ID, UPTIME] = ['/proc/sys/kernel/random/boot_id', '/proc/uptime'];
const at = (boot: string, uptime: number) =>
  fakeHost({ files: { [BOOT_ID]: `${boot}\n`, [UPTIME]: `${uptime}.5 1\n` } });
const RECORD = {
  locked: true,
  since: 1,
  backend: 'nftables',
  wall: false,
  before: [],
  made: [],
  portal: { portal, ends: { boot: 'this', uptime: 100 } },
} as const satisfies LockRecord;

test('a portal is read as it was written', () => {
  const host = at('this', 10);
  writeLockRecord(host, RECORD);
  expect(readLockRecord(host)).toEqual(RECORD);
  expect(openPortalOf(host, readLockRecord(host))).toEqual(portal);
});

test.each([
  ['its moment is over', at('this', 100), RECORD],
  ['the machine was started again', at('another', 1), RECORD],
])('none is open when %s', (_, host, record) => {
  expect(openPortalOf(host, record)).toBeUndefined();
});

test.each(['uid', 'uplink', 'networks', 'resolvers', 'askers', 'from', 'until', 'ends'])(
  'none is read when its %s is not what it should be',
  (name) => {
    const host = at('this', 10);
    writeLockRecord(host, RECORD);
    const path = `${PATHS.state}/lock.json`;
    const json = JSON.parse(host.files.get(path) ?? '') as { portal: Record<string, unknown> };
    for (const wrong of [undefined, null, '10.0.0.0/8;', ['everything']]) {
      host.files.set(path, JSON.stringify({ ...json, portal: { ...json.portal, [name]: wrong } }));
      expect(readLockRecord(host)).toMatchObject({ locked: true, backend: 'nftables' });
      expect(readLockRecord(host)?.portal).toBeUndefined();
    }
  },
);
