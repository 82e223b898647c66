import { expect, test } from 'vitest';
import { lockMachine } from '../../../src/transaction/lock.ts';
import { fakeHost } from '../../support/fake-host.ts';

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
