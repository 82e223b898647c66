import { describe, expect, test } from 'vitest';
import { tunnelCall } from './captures.ts';
import { must, useMachine, withoutEnded } from './installed-machine.ts';

describe.each(['iptables', 'nftables'] as const)('with %s', (backend) => {
  const machine = useMachine();
  const setting = `KILLSWITCH_BACKEND=${backend}`;
  const call = tunnelCall('tun0');

  test.each([
    ['emptied', (it: ReturnType<typeof machine>) => it.settings()],
    [
      'lost',
      (it: ReturnType<typeof machine>) => must(it.run('rm', '/etc/ovpn-killswitch/killswitch.env')),
    ],
    [
      'loosened',
      (it: ReturnType<typeof machine>) =>
        it.settings(setting, 'KILLSWITCH_LAN=private', 'KILLSWITCH_ENDPOINT_OWNER=any'),
    ],
  ])('a settings file that is %s after lock widens nothing when a hook runs', (_, change) => {
    const it = machine();
    it.settings(setting, 'KILLSWITCH_LAN=off');
    must(it.command('lock', '--force'));
    const base = it.rules();
    must(it.hook('up', call));
    change(it);
    must(it.hook('route-up', { ...call, argv: [] }));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true, settingsChanged: true });
    must(it.hook('down', call));
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
    must(it.command('unlock'));
  });

  test('a hook for loopback is refused, and nothing passes for it', () => {
    const it = machine();
    it.relock(setting);
    const base = it.rules();
    const ended = it.hook('up', tunnelCall('lo'));
    expect(ended.status).toBe(78);
    expect(ended.stderr).toContain('lo is not a tunnel');
    expect(it.rules()).toEqual(base);
    must(it.command('unlock'));
  });

  test('status says OPEN when somebody locked and no rule is loaded', () => {
    const it = machine();
    it.relock(setting);
    must(
      backend === 'nftables'
        ? it.run('nft', 'delete', 'table', 'inet', 'ovpn_killswitch')
        : it.sh(
            'for each in iptables ip6tables; do for chain in INPUT FORWARD OUTPUT; do $each -P $chain ACCEPT; done; for table in filter mangle; do $each -t $table -F; $each -t $table -X; done; done',
          ),
    );
    const ended = it.command('status');
    expect(ended.status).toBe(2);
    expect(ended.stdout).toMatch(/^OPEN: /);
    must(it.command('unlock'));
  });
});
