import { afterEach, describe, expect, test } from 'vitest';
import { capture, tunnelCall } from './captures.ts';
import {
  BACKENDS,
  type Machine,
  must,
  TUNNELS,
  unordered,
  useMachine,
  withoutEnded,
} from './installed-machine.ts';

/** How the last change came into the kernel, as the log says it. */
function applied(
  entries: ReturnType<ReturnType<Machine['logMark']>>,
): readonly (string | undefined)[] {
  return entries.filter(({ event }) => event === 'applied').map((entry) => entry.applied);
}

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine();
  const relock = () => machine().relock(`KILLSWITCH_BACKEND=${backend}`);
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') relock();
  });

  test('up says the same a second time and changes nothing', () => {
    const it = machine();
    relock();
    const logged = it.logMark();
    must(it.hook('up', tunnelCall('tun0')));
    const rules = it.rules();
    must(it.hook('up', tunnelCall('tun0')));
    must(it.hook('route-up', { ...tunnelCall('tun0'), argv: [] }));
    expect(it.rules()).toEqual(rules);
    // route-up was told the same, and does not even look.
    expect(applied(logged())).toEqual(['added', 'unchanged']);
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('a tunnel that is reported again with the same facts keeps the time since when it is up', () => {
    const it = machine();
    relock();
    must(it.hook('up', capture('ovpn2.6.udp4-subnet.up.env')));
    const file = `${TUNNELS}/tun0`;
    it.write(file, it.read(file).replace(/"since": \d+/, '"since": 1000'));
    must(it.hook('up', capture('ovpn2.6.udp4-subnet.up.env')));
    expect(it.status().tunnels).toMatchObject([{ device: 'tun0', since: 1000 }]);
    must(it.hook('up', tunnelCall('tun0')));
    expect(it.status().tunnels[0]?.since).toBeGreaterThan(1000);
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('down a second time, and for a device that never was, leaves the base', () => {
    const it = machine();
    relock();
    const base = it.rules();
    must(it.hook('up', tunnelCall('tun0')));
    for (const device of ['tun0', 'tun0', 'tun9']) {
      must(it.hook('down', tunnelCall(device)));
      expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
    }
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('down for another device leaves a live tunnel as it is', () => {
    const it = machine();
    relock();
    must(it.hook('up', tunnelCall('tun0')));
    const rules = it.rules();
    must(it.hook('down', tunnelCall('tun1')));
    expect(it.rules()).toEqual(rules);
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('a restart with persist-tun keeps the rules, and the networks that OpenVPN does not name again', () => {
    const it = machine();
    relock();
    const base = it.rules();
    must(it.hook('up', capture('ovpn2.6.persist.up.env')));
    must(it.hook('route-up', capture('ovpn2.6.persist.route-up.env')));
    const connected = it.rules();
    expect(JSON.stringify(connected)).toContain('10.20.0.0/16');
    must(it.hook('down', capture('ovpn2.6.persist-sigusr1-restart.down.env')));
    expect(it.rules()).toEqual(connected);
    must(it.hook('up', capture('ovpn2.6.persist-after-sigusr1-restart.up.env')));
    expect(it.rules()).toEqual(connected);
    expect(it.status()).toMatchObject({
      state: 'connected',
      exact: true,
      tunnels: [{ device: 'tun0' }],
    });
    must(it.hook('down', capture('ovpn2.6.persist-sigterm-while-reconnecting.down.env')));
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
  });

  test('a tunnel that comes back elsewhere loses the rules of where it was', () => {
    const it = machine();
    relock();
    must(it.hook('up', tunnelCall('tun0')));
    must(
      it.hook(
        'up',
        tunnelCall('tun0', {
          trusted_ip: '198.51.100.20',
          ifconfig_local: '10.9.0.2',
          foreign_option_1: 'dhcp-option DNS 10.9.0.1',
        }),
      ),
    );
    const text = JSON.stringify(it.rules());
    expect(text).toContain('198.51.100.20');
    expect(text).not.toMatch(/203\.0\.113\.10|10\.8\.0\./);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('adding a tunnel and replacing everything come to the same rules', () => {
    const it = machine();
    relock();
    const calls = [
      capture('ovpn2.6.udp4-subnet.up.env'),
      tunnelCall('tun1', { route_network_1: '10.30.0.0', route_netmask_1: '255.255.0.0' }),
      tunnelCall('tap0', {
        trusted_ip: '198.51.100.20',
        ifconfig_ipv6_local: 'fd00:9::2',
        ifconfig_ipv6_netbits: '64',
      }),
    ];
    const logged = it.logMark();
    for (const call of calls) must(it.hook('up', call));
    expect(applied(logged())).toEqual(['added', 'added', 'added']);
    const grown = it.rules();
    const foreign =
      backend === 'nftables'
        ? it.run('nft', 'add', 'rule', 'inet', 'ovpn_killswitch', 'postrouting-tun1', 'accept')
        : it.run('iptables', '-I', 'KILLSWITCH-O-tun1', '-j', 'ACCEPT');
    must(foreign);
    expect(it.status().exact).toBe(false);
    must(
      it.hook('route-up', {
        ...tunnelCall('tun1', { route_network_1: '10.30.0.0', route_netmask_1: '255.255.0.0' }),
        argv: [],
      }),
    );
    expect(applied(logged()).at(-1)).toBe('replaced');
    expect(unordered(it.rules())).toEqual(unordered(grown));
    for (const { env } of calls)
      must(it.hook('down', { argv: [], env: { dev: env['dev'] ?? '' } }));
  });
});
