import { describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, hookArgv, must, TUNNELS, useMachine } from '../hooks/installed-machine.ts';

/**
 * The profile's own command after `up` may take longer than our hook has. When it failed after
 * that, the rules of the tunnel stayed, because our deadline had passed. And systemd, which stops
 * every process of a unit, stopped `down` in the middle of its work.
 */

/** More than a hook's own 20 seconds on a machine that is not slow. */
const SLOW_SECONDS = 22;

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((it) => {
    it.settings(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
    must(it.command('lock'));
  });
  const slow = (call: ReturnType<typeof tunnelCall>) => ({
    ...call,
    argv: ['--then', '/root/slow', ...call.argv],
  });

  test('an up whose own command fails after a long time leaves no rule of the tunnel', () => {
    const it = machine();
    it.write('/root/slow', `#!/bin/sh\nsleep ${SLOW_SECONDS}\nexit 3\n`);
    must(it.sh('chmod 755 /root/slow'));
    const logged = it.logMark();
    const { status } = it.sandbox.run(hookArgv('up', slow(tunnelCall('tun0'))), {
      milliseconds: patiently(110_000),
    });
    expect(status).toBe(3);
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
    expect(logged().flatMap(({ event, msg }) => (event === 'failed' ? [msg] : []))).toEqual([]);
  });

  test('a down that is told to stop ends its work first, and its end counts as reported', () => {
    const it = machine();
    must(it.hook('up', tunnelCall('tun0')));
    const logged = it.logMark();
    const argv = hookArgv('down', tunnelCall('tun0')).map((word) => `'${word}'`);
    // In the middle of its work: its first step has been done.
    const stop = 'while kill -TERM $pid 2>/dev/null; do sleep 0.02; done';
    must(
      it.sh(
        `${argv.join(' ')} & pid=$!; while [ -e ${TUNNELS}/tun0 ]; do sleep 0.005; done; (${stop}) & wait $pid`,
      ),
    );
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
    must(it.command('refresh'));
    expect(logged().map(({ event }) => event)).not.toContain('tunnel-stale');
  });
});
