import { afterAll, describe, expect, test } from 'vitest';
import { BACKENDS, must, useMachine } from '../hooks/installed-machine.ts';

const NETWORK = `
set -e
ip netns add server
ip link add eth0 type veth peer name eth0 netns server
ip addr add 203.0.113.5/24 dev eth0; ip link set eth0 up
ip -n server addr add 203.0.113.10/24 dev eth0; ip -n server link set eth0 up
`;
/** Says in a file whose packets came. */
const SERVER = `const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (data) => require('node:fs').appendFileSync('/run/heard', data + '\\n'));
socket.bind(1194, () => require('node:fs').writeFileSync('/run/server', String(process.pid)))`;
const SEND = `const socket = require('node:dgram').createSocket('udp4');
socket.send(process.argv[1], 1194, '203.0.113.10', () => socket.close())`;
const [ACCOUNT, OTHER] = ['61241', '61242'];
const UNIT = '/etc/systemd/system/openvpn-client@.service';
/** Arch Linux, openvpn 2.6, 0001-unprivileged.patch. */
const ARCH = `[Service]
User=openvpn
Group=network
AmbientCapabilities=CAP_IPC_LOCK CAP_NET_ADMIN CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SYS_CHROOT CAP_DAC_OVERRIDE
`;

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => {
    must(fresh.sh(NETWORK));
    fresh.sandbox.start([process.execPath, '-e', SERVER], { at: 'server' });
    must(fresh.sh('until test -s /run/server; do sleep 0.05; done'));
    fresh.write(
      '/etc/passwd',
      `${fresh.read('/etc/passwd').trimEnd()}\nopenvpn:x:${ACCOUNT}:${ACCOUNT}::/:/bin/false\n`,
    );
    fresh.settings(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
  });
  afterAll(() => machine().sh('kill $(cat /run/server)'));

  /** The accounts whose packets to the endpoint arrive. */
  const heard = () => {
    must(machine().command('lock'));
    machine().sh('rm -f /run/heard');
    for (const uid of [ACCOUNT, OTHER, '0'])
      machine().run('setpriv', '--reuid', uid, '--clear-groups', process.execPath, '-e', SEND, uid);
    // Packets keep their order: root's, the last, shows that all others had their time.
    must(machine().sh('for i in $(seq 100); do grep -qx 0 /run/heard && exit; sleep 0.05; done'));
    return machine().read('/run/heard').trim().split('\n').sort();
  };

  test('an account that a unit starts OpenVPN as reaches the endpoint, enabled or not, and no other account does', () => {
    expect(heard()).toEqual(['0']);
    machine().write(UNIT, ARCH);
    expect(heard()).toEqual(['0', ACCOUNT]);
    machine().write(`${UNIT}.d/b.conf`, '[Service]\nUser=nobody\n');
    machine().write(`${UNIT}.d/c.conf`, `[Service]\nUser=${OTHER}\n`);
    expect(heard()).toEqual(['0', OTHER]);
  });

  test('a drop-in of somebody else names nobody', () => {
    must(machine().run('chown', OTHER, `${UNIT}.d/c.conf`));
    machine().write(`${UNIT}.d/b.conf`, '[Service]\nUser=openvpn\n');
    expect(heard()).toEqual(['0', ACCOUNT]);
    must(machine().run('rm', '-r', `${UNIT}.d`));
  });

  test('doctor says that the hooks of such a unit change nothing, and its fix makes the client root again', () => {
    const found = () =>
      (
        JSON.parse(machine().command('doctor', '--json').stdout) as { what: string; fix: string }[]
      ).filter(({ what }) => what.includes('starts OpenVPN as openvpn'));
    const [finding] = found();
    must(machine().sh(`sudo() { "$@"; }; systemctl() { :; }; ${finding?.fix}`));
    expect(found()).toEqual([]);
    expect(heard()).toEqual(['0']);
  });
});
