import { expect, test } from 'vitest';
import { EXIT } from '../../src/errors.ts';
import { tunnelCall } from './captures.ts';
import { must, SETTINGS, useMachine } from './installed-machine.ts';

const machine = useMachine();
const PROFILE = '/etc/openvpn/client/mine.conf';
const REFUSAL = 'no profile names a VPN server that can be found';

test('a machine that knows no VPN server is not locked: it says why and what to do, and changes no rule', () => {
  const it = machine();
  it.settings();
  const open = it.rules();
  const { status, stderr } = it.command('lock');
  expect([status, stderr]).toEqual([EXIT.settings, expect.stringContaining(REFUSAL)]);
  for (const way of ['KILLSWITCH_ENDPOINTS', 'attach FILE']) expect(stderr).toContain(way);
  expect(it.rules()).toEqual(open);
  expect(it.status().state).toBe('unlocked');
});

test.each([
  ['no remote line', 'client\ndev tun\n'],
  ['a name that nobody answers for', 'client\ndev tun\nremote vpn.invalid 1194\n'],
])('a profile with %s is no server either', (_, text) => {
  const it = machine();
  it.write(PROFILE, text);
  const { status, stderr } = it.command('lock');
  expect([status, stderr]).toEqual([EXIT.settings, expect.stringContaining(REFUSAL)]);
  expect(it.status().state).toBe('unlocked');
  must(it.run('rm', PROFILE));
});

test.each([
  [
    'its setting names one',
    (it: ReturnType<typeof machine>) => it.settings('KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp'),
    [],
  ],
  [
    'a profile names one',
    (it: ReturnType<typeof machine>) =>
      it.write(PROFILE, 'client\ndev tun\nremote 203.0.113.10 1194\n'),
    [],
  ],
  ['it is told to all the same', () => undefined, ['--force']],
] as const)('it is locked when %s', (_, prepare, flags) => {
  const it = machine();
  prepare(it);
  must(it.command('lock', ...flags));
  expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  must(it.command('unlock'));
  must(it.run('rm', '-f', PROFILE, SETTINGS));
});

test('it is locked while a tunnel is live: a client that is connected has a server', () => {
  const it = machine();
  must(it.command('unlock'));
  must(it.hook('up', tunnelCall('tun0')));
  must(it.command('lock'));
  expect(it.status()).toMatchObject({ state: 'connected', exact: true });
  must(it.hook('down', tunnelCall('tun0')));
  must(it.command('unlock'));
});
