import { describe, expect, test } from 'vitest';
import { watchService } from '../../../src/watch/service.ts';
import { readWatch } from '../../../src/watch/watch-report.ts';
import { countsExposure, exposureOf } from '../../support/exposure.ts';
import { fakeHost } from '../../support/fake-host.ts';

const textOf = (init: 'systemd' | 'openrc') =>
  watchService(init)
    .files.map(({ text }) => text)
    .join('\n');

describe('the service', () => {
  test.each(['systemd', 'openrc'] as const)('of %s is known to status by its files', (init) => {
    const files = Object.fromEntries(
      watchService(init).files.map(({ path, text }) => [path, text]),
    );
    expect(readWatch(fakeHost({ files }))).toEqual({ enabled: true, running: false });
  });

  test.each(['systemd', 'openrc'] as const)(
    'of %s runs the command and is started again whenever it ends',
    (init) => {
      expect(textOf(init)).toMatch(/\/usr\/local\/sbin\/ovpn-killswitch/);
      expect(textOf(init)).toMatch(init === 'systemd' ? /^Restart=always$/m : /^respawn_max=0$/m);
    },
  );

  test('of systemd never gives up, and has bounds for memory, processor and tasks', () => {
    for (const line of [
      /^StartLimitIntervalSec=0$/m,
      /^MemoryMax=\d+M$/m,
      /^CPUQuota=\d+%$/m,
      /^TasksMax=\d+$/m,
    ])
      expect(textOf('systemd')).toMatch(line);
  });

  test.skipIf(!countsExposure())(
    'of systemd is exposed less than 4.0, as systemd-analyze counts',
    () => {
      expect(exposureOf(watchService('systemd').files[0]?.text ?? '')).toBeLessThan(4);
    },
  );
});
