import { describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import {
  BACKENDS,
  hookArgv,
  must,
  ran,
  STATE,
  TUNNELS,
  useMachine,
} from '../hooks/installed-machine.ts';

const UID = '61235';
/**
 * As systemd starts OpenVPN with User=openvpn and AmbientCapabilities=CAP_NET_ADMIN
 * CAP_DAC_OVERRIDE.
 */
const CAPABILITIES = '+net_admin,+dac_override';
const ACCOUNT = [
  ...['setpriv', '--reuid', UID, '--regid', UID, '--clear-groups'],
  ...['--inh-caps', CAPABILITIES, '--ambient-caps', CAPABILITIES, '--bounding-set', CAPABILITIES],
];

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) =>
    fresh.relock(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp'),
  );
  const run = (name: 'up' | 'down') =>
    machine().run(...ACCOUNT, ...hookArgv(name, tunnelCall('tun0')));

  test('a hook of another account that may change rules changes none, and says what to do', (context) => {
    if (!machine().sandbox.hasOtherUsers) context.skip('there is no other user here');
    const before = machine().rules();
    const up = run('up');
    expect(up.status, ran(up)).toBe(77);
    expect(up.stderr).toMatch(
      /uid 61235 with CAP_NET_ADMIN, and only root decides[\s\S]*User=root/,
    );
    expect(run('down').status).toBe(0);
    expect(machine().rules()).toEqual(before);
    expect(machine().list(TUNNELS)).toEqual([]);
  });

  test('a tunnel that such a hook has written before is not live for root', (context) => {
    if (!machine().sandbox.hasOtherUsers) context.skip('there is no other user here');
    must(machine().hook('up', tunnelCall('tun0')));
    expect(machine().status()).toMatchObject({ state: 'connected' });
    must(machine().run('chown', UID, `${TUNNELS}/tun0`));
    must(machine().command('lock'));
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
  });

  test('a record that such a hook has written does not say that the machine is open', (context) => {
    if (!machine().sandbox.hasOtherUsers) context.skip('there is no other user here');
    const locked = machine().read(`${STATE}/lock.json`);
    machine().write(`${STATE}/lock.json`, locked.replace('"locked": true', '"locked": false'));
    must(machine().run('chown', UID, `${STATE}/lock.json`));
    const up = machine().hook('up', tunnelCall('tun0'));
    expect(up.status, ran(up)).toBe(0);
    expect(machine().status()).toMatchObject({ state: 'connected', exact: true });
    must(machine().hook('down', tunnelCall('tun0')));
  });
});
