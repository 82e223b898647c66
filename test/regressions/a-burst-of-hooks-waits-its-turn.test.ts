import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import { must, useMachine } from '../hooks/installed-machine.ts';

/**
 * Of 100 hooks at once on a busy machine 82 to 94 ended BUSY: each waited for nine seconds of its
 * twenty, and each loaded the tunnels of all others anew.
 */

/** Longer than the hooks waited. */
const SECONDS = 11;
const DEVICES = ['tun0', 'tun1', 'tun2', 'tun3', 'tun4', 'tun5'];

// The lock is the same for both backends.
describe('with iptables', () => {
  const machine = useMachine((it) =>
    it.settings('KILLSWITCH_BACKEND=iptables', 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp'),
  );

  test('hooks that wait for the lock all end well, and one of them loads all tunnels', async () => {
    const it = machine();
    must(it.command('lock'));
    // Without it no hook may take the short way, which needs no lock.
    must(it.run('rm', '-f', '/run/ovpn-killswitch/last-transaction'));
    const holder = it.sandbox.start([
      'flock',
      '/run/ovpn-killswitch/lock',
      'sh',
      '-c',
      `echo held; exec sleep ${SECONDS}`,
    ]);
    if (holder.stdout !== null) await once(holder.stdout, 'data');
    const log = it.logMark();
    const ends = await Promise.all(DEVICES.map((device) => it.startHook('up', tunnelCall(device))));
    expect(ends.map(({ status, stderr }) => [status, stderr.includes('BUSY')])).toEqual(
      DEVICES.map(() => [0, false]),
    );
    const applied = log().flatMap((line) => (line.event === 'applied' ? (line.applied ?? []) : []));
    expect(applied.filter((each) => each !== 'unchanged')).toHaveLength(1);
    expect(applied).toHaveLength(DEVICES.length);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
  });
});
