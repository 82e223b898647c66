import { describe, expect, test } from 'vitest';
import { tunnelCall } from './captures.ts';
import { BACKENDS, must, STATE, useMachine } from './installed-machine.ts';

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => fresh.settings(`KILLSWITCH_BACKEND=${backend}`));

  test('down and status on a machine that was never locked change nothing', () => {
    const it = machine();
    const before = it.rules();
    must(it.hook('down', tunnelCall('tun0')));
    expect(it.command('status').status).toBe(1);
    expect(it.rules()).toEqual(before);
    expect(it.exists(`${STATE}/lock.json`)).toBe(false);
  });

  test('the first up on a machine that was never locked locks it, and says so', () => {
    const it = machine();
    const logged = it.logMark();
    const up = must(it.hook('up', tunnelCall('tun0')));
    expect(up.stderr).toContain('locked by this hook');
    expect(up.stderr).toContain('"ovpn-killswitch unlock" opens');
    expect(logged().some(({ event, level }) => event === 'locked' && level === 40)).toBe(true);
    expect(it.command('status').status).toBe(0);
    expect(it.status()).toMatchObject({
      state: 'connected',
      exact: true,
      backend,
      tunnels: [{ device: 'tun0' }],
    });
    must(it.hook('down', tunnelCall('tun0')));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('after unlock a hook changes no rule and warns, and lock takes the live tunnel in', () => {
    const it = machine();
    must(it.command('unlock'));
    const open = it.rules();
    expect(JSON.stringify(open)).not.toMatch(/killswitch/i);
    const up = must(it.hook('up', tunnelCall('tun0')));
    expect(up.stderr).toContain('UNLOCKED');
    expect(it.rules()).toEqual(open);
    expect(it.command('status').status).toBe(1);
    must(it.command('lock', '--force'));
    expect(it.status()).toMatchObject({
      state: 'connected',
      exact: true,
      tunnels: [{ device: 'tun0' }],
    });
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('a tunnel that ends while the machine is unlocked is not there after the next lock', () => {
    const it = machine();
    must(it.hook('up', tunnelCall('tun0')));
    must(it.command('unlock'));
    must(it.hook('down', tunnelCall('tun0')));
    must(it.command('lock', '--force'));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
  });

  test('a tunnel whose device is gone is named by status and pruned by the next hook', () => {
    const it = machine();
    must(it.run('ip', 'tuntap', 'add', 'tun5', 'mode', 'tun'));
    must(it.hook('up', tunnelCall('tun5')));
    expect(it.status()).toMatchObject({ tunnels: [{ device: 'tun5', stale: false }] });
    must(it.run('ip', 'link', 'del', 'tun5'));
    expect(it.status()).toMatchObject({ exact: true, tunnels: [{ device: 'tun5', stale: true }] });
    expect(it.command('status').stdout).toMatch(/tun5.*GONE/);
    const up = must(it.hook('up', tunnelCall('tun6')));
    expect(up.stderr).toContain('tun5 is gone');
    expect(it.status()).toMatchObject({ exact: true, tunnels: [{ device: 'tun6', stale: false }] });
    expect(JSON.stringify(it.rules())).not.toContain('tun5');
    must(it.hook('down', tunnelCall('tun6')));
  });

  test('a tunnel whose OpenVPN died silently is pruned by the next hook', () => {
    const it = machine();
    const pid = must(it.sh('sleep 60 >/dev/null 2>&1 & echo $!')).stdout.trim();
    must(it.hook('up', tunnelCall('tun5', { daemon_pid: pid })));
    expect(it.status()).toMatchObject({ tunnels: [{ device: 'tun5', stale: false }] });
    must(it.run('kill', '-9', pid));
    must(
      it.sh(
        `while kill -0 ${pid} 2>/dev/null && grep -q '^State:\t[^Z]' /proc/${pid}/status; do :; done`,
      ),
    );
    expect(it.status()).toMatchObject({ tunnels: [{ device: 'tun5', stale: true }] });
    must(it.hook('down', tunnelCall('tun6')));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
  });

  test('a killed OpenVPN that its parent has not waited for counts as dead', () => {
    const it = machine();
    const parent = it.sandbox.start([
      'sh',
      '-c',
      'sleep 60 & echo $! > /run/zombie; exec sleep 61',
    ]);
    must(it.sh('while ! test -s /run/zombie; do :; done'));
    const pid = it.read('/run/zombie').trim();
    must(it.hook('up', tunnelCall('tun5', { daemon_pid: pid })));
    must(it.run('kill', '-9', pid));
    must(it.sh(`while grep -q '^State:\t[^Z]' /proc/${pid}/status; do :; done`));
    expect(it.status()).toMatchObject({ tunnels: [{ device: 'tun5', stale: true }] });
    must(it.hook('down', tunnelCall('tun5')));
    parent.kill('SIGKILL');
  });
});
