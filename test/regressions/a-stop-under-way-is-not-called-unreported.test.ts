import { afterEach, describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { must, useMachine } from '../hooks/installed-machine.ts';

const SOON = { timeout: patiently(15_000), interval: 100 };

/**
 * OpenVPN that systemd stops closes its device and calls `down` then: a hook that looks in between sees
 * a tunnel without a device.
 */
describe('a client that is being stopped', () => {
  const machine = useMachine((fresh) =>
    fresh.relock('KILLSWITCH_BACKEND=nftables', 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp'),
  );
  let client = '';
  afterEach(() => machine().run('kill', client));

  /** A client with a tunnel, whose device is closed now. */
  function closing() {
    client = must(machine().sh('sleep 1000 >/dev/null 2>&1 & echo $!')).stdout.trim();
    must(machine().sh('ip tuntap add tun5 mode tun'));
    const call = tunnelCall('tun5', { daemon_pid: client });
    must(machine().hook('up', call));
    const since = machine().logMark();
    must(machine().sh('ip link delete tun5'));
    return { call, stale: () => since().filter(({ event }) => event === 'tunnel-stale') };
  }

  test('is not one whose end nobody reported, when lock runs before its down hook', () => {
    const { call, stale } = closing();
    must(machine().command('lock'));
    must(machine().hook('down', call));
    expect(stale().map(({ level, msg }) => [level, msg.includes('reported')])).toEqual([
      [30, false],
    ]);
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('is one, when it was killed before its down hook', () => {
    const { stale } = closing();
    must(machine().run('kill', '-9', client));
    must(machine().command('lock'));
    expect(stale().map(({ msg }) => msg)).toEqual([
      expect.stringContaining("tun5 is gone and no hook of root's reported its end"),
    ]);
  });

  test('is not called one by watch', async () => {
    const watch = machine().sandbox.start(['/usr/local/sbin/ovpn-killswitch', 'watch']);
    await expect.poll(() => machine().exists('/run/ovpn-killswitch/watch'), SOON).toBe(true);
    const { call, stale } = closing();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    must(machine().hook('down', call));
    await new Promise((resolve) => setTimeout(resolve, 500));
    // On a loaded machine its patience may end first: then it says that the client may still run.
    expect(stale().filter(({ level }) => level > 30)).toEqual([]);
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true });
    // One that is killed is still taken away.
    const killed = closing();
    must(machine().run('kill', '-9', client));
    await expect.poll(() => killed.stale().length, SOON).toBe(1);
    watch.kill();
  });
});
