import { afterEach, describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { must, useMachine } from '../hooks/installed-machine.ts';

const SOON = { timeout: patiently(20_000), interval: 200 };

/**
 * A suspend moves CLOCK_BOOTTIME on, which /proc/uptime shows, and no clock that sleep(1) or a
 * timer of systemd counts by. So does a file in its place.
 */
describe('while the machine was suspended', () => {
  const machine = useMachine((fresh) =>
    fresh.relock('KILLSWITCH_BACKEND=nftables', 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp'),
  );
  const wakeAfter = (minutes: number) =>
    must(
      machine().sh(
        `read -r now rest </proc/uptime; echo "$((\${now%.*} + ${minutes * 60})).00 $rest" >/run/uptime; mount --bind /run/uptime /proc/uptime`,
      ),
    );
  afterEach(() => machine().sh('umount /proc/uptime'));

  test('an unlock for an hour ends after it, and not before', async () => {
    must(machine().command('lock'));
    must(machine().command('unlock', '--for', '1h'));
    wakeAfter(30);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(machine().status().state).toBe('unlocked');
    wakeAfter(31);
    await expect
      .poll(() => machine().status(), SOON)
      .toMatchObject({ state: 'blocked', exact: true });
    machine().sh('umount /proc/uptime');
  });

  test('a lock that waits to be confirmed is taken back', async () => {
    must(machine().command('unlock'));
    must(machine().command('lock', '--confirm', '1h'));
    expect(machine().status().state).toBe('blocked');
    wakeAfter(61);
    const chains = () => Object.keys(machine().rules()).filter((each) => each.startsWith('nft '));
    expect(chains()).not.toEqual([]);
    await expect.poll(chains, SOON).toEqual([]);
    expect(machine().status().state).toBe('unlocked');
  });
});
