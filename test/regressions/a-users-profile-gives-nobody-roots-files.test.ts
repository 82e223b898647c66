import { describe, expect, test } from 'vitest';
import { BACKENDS, useMachine } from '../hooks/installed-machine.ts';

const HOME = '/run/alice';
const PROFILE = `${HOME}/vpn.ovpn`;
const COPY = '/etc/openvpn/client/vpn.conf';
const TEXT = 'client\ndev tun\nremote 203.0.113.66 1194 udp\nuser 12345\n';

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => {
    fresh.settings(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
    fresh.sh(`mkdir -p ${HOME} /etc/openvpn/client; rm -f ${COPY}`);
    fresh.write(PROFILE, TEXT);
    fresh.sh(`chown -R 12345:12345 ${HOME}`);
  });

  test('attach refuses a profile of a user by name, says who owns what, and changes nothing', () => {
    const { status, stdout, stderr } = machine().command('attach', PROFILE);
    expect(status).not.toBe(0);
    expect(stdout + stderr).toContain(`${HOME} belongs to uid 12345`);
    expect((stdout + stderr).replace(/\s+/g, ' ')).toContain(`attach --copy ${PROFILE}`);
    expect(machine().read(PROFILE)).toBe(TEXT);
  });

  test('attach --copy attaches a copy of root in a folder of root, and leaves the original as it was', () => {
    const { status, stdout, stderr } = machine().command('attach', '--copy', PROFILE);
    expect(status, stdout + stderr).toBe(0);
    expect(machine().sh(`stat -c '%u:%g %a' ${COPY}`).stdout.trim()).toBe('0:0 600');
    expect(machine().read(COPY)).toContain('remote 203.0.113.66');
    expect(machine().read(COPY)).toContain('>>> ovpn-killswitch');
    expect(machine().read(PROFILE)).toBe(TEXT);
  });

  test('a profile of a user that was attached before is not read: lock names it, doctor lists it, and nothing of it may pass', () => {
    machine().sh(`rm -f ${COPY}`);
    machine().write(
      '/var/lib/ovpn-killswitch/attached.json',
      `{"version":1,"profiles":["${PROFILE}"]}\n`,
    );
    const locked = machine().command('lock');
    expect((locked.stdout + locked.stderr).replace(/\s+/g, ' ')).toContain(
      `attach --copy ${PROFILE}`,
    );
    expect(JSON.stringify(machine().rules())).not.toContain('203.0.113.66');
    const { stdout } = machine().command('doctor');
    expect(stdout).toContain(`sudo ovpn-killswitch attach --copy ${PROFILE}`);
  });

  test('a link that a user set is not followed, by attach --copy and by detach', () => {
    machine().sh(
      `printf 'SECRET-OF-ROOT\\n' >/etc/secret; chmod 600 /etc/secret; ln -sfn /etc/secret ${HOME}/link.ovpn; chown -h 12345:12345 ${HOME}/link.ovpn`,
    );
    for (const words of [
      ['attach', '--copy'],
      ['attach'],
      ['detach'],
      ['attach', '--dry-run', '--copy'],
    ]) {
      const { status, stdout, stderr } = machine().command(...words, `${HOME}/link.ovpn`);
      expect(status).not.toBe(0);
      expect(stdout + stderr).not.toContain('SECRET');
    }
    expect(machine().sh("stat -c '%u %a' /etc/secret").stdout.trim()).toBe('0 600');
  });

  test('detach takes our lines out of a profile of a user, which stays that user’s', () => {
    machine().write(PROFILE, `${TEXT}`);
    machine().sh(`chown root:root ${HOME} ${PROFILE}; chmod 755 ${HOME}`);
    expect(machine().command('attach', PROFILE).status).toBe(0);
    machine().sh(`chown -R 12345:12345 ${HOME}`);
    const { status, stdout, stderr } = machine().command('detach', PROFILE);
    expect(status, stdout + stderr).toBe(0);
    expect(machine().read(PROFILE)).toBe(TEXT);
    expect(machine().sh(`stat -c %u ${PROFILE}`).stdout.trim()).toBe('12345');
  });
});
