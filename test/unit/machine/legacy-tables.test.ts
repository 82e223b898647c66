import { expect, test } from 'vitest';
import { KillswitchError } from '../../../src/errors.ts';
import { hasLegacyTables } from '../../../src/machine/backend-facts.ts';
import { fakeHost } from '../../support/fake-host.ts';

const NAMES = '/proc/net/ip_tables_names';

test.each([
  ['that has none', {}, false],
  ['that has made none', { [NAMES]: '' }, false],
  ['that has some', { [NAMES]: 'filter\n' }, true],
])('a kernel %s', (_, files, expected) => {
  expect(hasLegacyTables(fakeHost({ files }))).toBe(expected);
});

test('an unprivileged container that may not read their names has none that it could ask for', () => {
  const host = fakeHost();
  const read = (path: string): string | undefined => {
    if (path === NAMES)
      throw new KillswitchError('FILES', `could not read ${path}`, '', [
        'EACCES: permission denied',
      ]);
    return host.read(path);
  };
  expect(hasLegacyTables({ ...host, read })).toBe(false);
});
