import { expect, test } from 'vitest';
import { BUILT_COMMAND, must, useMachine } from '../hooks/installed-machine.ts';

/**
 * After a package was removed and the program installed from source, a profile still named the
 * hooks of the package: OpenVPN did not start until somebody ran "attach" again.
 */

const PROFILE = '/etc/openvpn/client/office.conf';
const UNREADABLE = '/etc/openvpn/client/theirs.conf';
const machine = useMachine();
const install = () => must(machine().run(process.execPath, BUILT_COMMAND, 'install'));

test('"install" has the profile name its own hooks, once, and changes nothing else in it', () => {
  const it = machine();
  it.write(PROFILE, 'client\ndev tun\nremote 203.0.113.10 1194\n');
  must(it.command('attach', PROFILE));
  const attached = it.read(PROFILE);
  expect(attached).toContain('/usr/local/lib/ovpn-killswitch/hooks/up');
  must(it.sh(`sed -i 's,/usr/local/lib/ovpn,/usr/lib/ovpn,' ${PROFILE}`));
  expect(it.read(PROFILE)).not.toBe(attached);
  expect(install().stdout).toContain(`${PROFILE}: its hooks are those in /usr/local/lib/`);
  expect(it.read(PROFILE)).toBe(attached);
  expect(install().stdout).not.toContain('its hooks are');
});

test('a profile that cannot be read stops no other, and is named', () => {
  const it = machine();
  it.write(UNREADABLE, 'client\ndev tun\nremote 203.0.113.11 1194\n');
  must(it.command('attach', UNREADABLE));
  must(it.sh(`rm ${UNREADABLE}; mkfifo ${UNREADABLE}`));
  must(it.sh(`sed -i 's,/usr/local/lib/ovpn,/usr/lib/ovpn,' ${PROFILE}`));
  const { stdout } = install();
  expect(stdout).toContain(`Not moved to this installation, and still in use: ${UNREADABLE}: `);
  expect(it.read(PROFILE)).toContain('up /usr/local/lib/ovpn-killswitch/hooks/up\n');
});
