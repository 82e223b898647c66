import { describe, expect, test } from 'vitest';
import { BACKENDS, type Machine, must, useMachine } from '../hooks/installed-machine.ts';

/**
 * A hosts file that nobody can write, immutable or a mount of a container's, made `lock` stop
 * between its record and its rules.
 */

const PROFILE = '/etc/openvpn/client/mine.conf';

function withReadOnly(it: Machine, path: string, work: () => void): void {
  must(it.sh(`mount --bind ${path} ${path} && mount -o remount,bind,ro ${path}`));
  try {
    work();
  } finally {
    must(it.sh(`umount ${path}`));
  }
}

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((it) => {
    it.settings(`KILLSWITCH_BACKEND=${backend}`);
    it.write(PROFILE, 'client\ndev tun\nremote 203.0.113.10 1194\nremote vpn.test 1194\n');
    it.write('/etc/hosts', '127.0.0.1 localhost\n192.0.2.7 vpn.test\n');
  });

  test('a hosts file that cannot be written keeps nobody from locking: lock names what will not work', () => {
    const it = machine();
    const hosts = it.read('/etc/hosts');
    withReadOnly(it, '/etc/hosts', () => {
      const { status, stderr } = it.command('lock');
      expect([status, stderr]).toEqual([
        0,
        expect.stringContaining('/etc/hosts could not be written'),
      ]);
      expect(stderr).toContain('vpn.test');
      expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
      must(it.command('refresh'));
      must(it.command('unlock'));
    });
    expect(it.read('/etc/hosts')).toBe(hosts);
    expect(it.status().state).toBe('unlocked');
  });

  test('pins that cannot be taken out again are named, and the machine opens', () => {
    const it = machine();
    must(it.command('lock'));
    withReadOnly(it, '/etc/hosts', () => {
      const { status, stderr } = it.command('unlock');
      expect([status, stderr]).toEqual([
        0,
        expect.stringContaining('/etc/hosts could not be written'),
      ]);
    });
    expect(it.status().state).toBe('unlocked');
    must(it.command('lock'));
    must(it.command('unlock'));
    expect(it.read('/etc/hosts')).not.toContain('ovpn-killswitch');
  });
});
