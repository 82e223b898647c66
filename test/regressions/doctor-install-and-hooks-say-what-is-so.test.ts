import { describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, BUILT_COMMAND, must, useMachine } from '../hooks/installed-machine.ts';

/**
 * `doctor` headed its findings with the opposite of what it had found, and advised to attach a
 * server's configuration. `install` said that nothing was locked on a locked machine, and a failing
 * hook that loaded rules stay loaded where none were.
 */

const SERVER = '/etc/openvpn/office.conf';

describe.each(BACKENDS)('with %s', (backend) => {
  const good = [
    `KILLSWITCH_BACKEND=${backend}`,
    'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
  ] as const;
  const machine = useMachine((it) => it.settings(...good));

  test('doctor states what it found, in the heading too', () => {
    const it = machine();
    must(it.command('lock'));
    const locked = it.command('doctor').stdout;
    expect(locked).toContain('warning  after a reboot nothing is guarded');
    expect(locked).not.toContain('stays so after a reboot');
    must(it.command('unlock'));
    expect(it.command('doctor').stdout).toContain(
      'warning  nothing is guarded: the machine is not locked',
    );
  });

  test('doctor does not advise to attach a configuration of a server', () => {
    const it = machine();
    it.write(SERVER, 'server 10.9.0.0 255.255.255.0\ndev tun\nport 1194\nkeepalive 10 60\n');
    const { stdout } = it.command('doctor');
    must(it.run('rm', SERVER));
    expect(stdout).not.toContain(SERVER);
  });

  test('install says whether the machine is locked', () => {
    const it = machine();
    const install = () => must(it.run(process.execPath, BUILT_COMMAND, 'install')).stdout;
    must(it.command('lock'));
    expect(install()).not.toContain('Nothing is locked yet');
    must(it.command('unlock'));
    expect(install()).toContain('Nothing is locked yet');
  });

  test('a hook that fails says what the kernel holds', () => {
    const it = machine();
    must(it.command('unlock'));
    it.settings(...good, 'KILLSWITCH_LAN=everything');
    const open = it.hook('up', tunnelCall('tun0'));
    it.settings(...good);
    must(it.command('lock'));
    it.settings(...good, 'KILLSWITCH_LAN=everything');
    const locked = it.hook('up', tunnelCall('tun0'));
    it.settings(...good);
    expect([open.status, open.stderr]).toEqual([
      78,
      expect.stringContaining('State now: OPEN. No rule of ovpn-killswitch is loaded.'),
    ]);
    expect(open.stderr).not.toContain('stay loaded');
    expect([locked.status, locked.stderr]).toEqual([
      78,
      expect.stringContaining('State now: rules of ovpn-killswitch are loaded.'),
    ]);
  });
});
