import { describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, must, ran, ruleLines, TUNNELS, useMachine } from '../hooks/installed-machine.ts';

const DEVICE = 'uplink0';

/** A live tunnel as `up` writes it, about any device. */
const fileOf = (device: string) =>
  `${JSON.stringify({
    version: 1,
    device,
    endpoints: ['203.0.113.10:1194/udp'],
    addresses: ['10.8.0.2'],
    resolvers: ['10.8.0.1'],
    searchDomains: [],
    networks: [],
    since: 1_800_000_000,
    daemon: null,
    deviceSeen: true,
    connection: null,
  })}\n`;

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => {
    fresh.relock(
      `KILLSWITCH_BACKEND=${backend}`,
      'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
      'KILLSWITCH_LAN=off',
    );
    must(
      fresh.sh(
        `ip link add ${DEVICE} type veth peer name peer0 && ip addr add 198.51.100.5/24 dev ${DEVICE}`,
      ),
    );
    // The kernel's own packets over IPv6 would be counted too.
    must(fresh.sh(`echo 1 >/proc/sys/net/ipv6/conf/${DEVICE}/disable_ipv6`));
    must(
      fresh.sh(
        `ip link set ${DEVICE} up; ip link set peer0 up; ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev ${DEVICE}`,
      ),
    );
    must(fresh.sh('ip link add br0 type bridge; ip tuntap add tun5 mode tun'));
  });
  /** Packets that have left by the interface, and an account without rights that sends ten. */
  const sent = () => {
    const count = () =>
      Number(
        /^\s*uplink0:(?:\s+\d+){9}\s+(\d+)/m.exec(
          must(machine().sh('cat /proc/net/dev')).stdout,
        )?.[1] ?? Number.NaN,
      );
    const program = `const s=require('dgram').createSocket('udp4');let n=0;const go=()=>n++<10?s.send('secret',4242,'198.51.100.9',()=>setTimeout(go,5)):s.close();go()`;
    const before = count();
    machine().run('setpriv', '--reuid', '61234', '--clear-groups', process.execPath, '-e', program);
    return count() - before;
  };

  test('the interface carries what an account sends while nothing is guarded', () => {
    must(machine().command('unlock'));
    expect(sent()).toBeGreaterThanOrEqual(10);
    must(machine().command('lock'));
  });

  test.each([DEVICE, 'br0', 'lo'])(
    'a file about a "tunnel" called %s lets nothing out, and goes',
    (device) => {
      const base = machine().rules();
      machine().write(`${TUNNELS}/${device}`, fileOf(device));
      must(machine().command('lock'));
      expect(ruleLines(machine().rules())).toEqual(ruleLines(base));
      expect(machine().status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
      expect(machine().list(TUNNELS)).toEqual([]);
      expect(sent()).toBe(0);
    },
  );

  test('a hook about such an interface is refused, and one about a tunnel works', () => {
    for (const device of [DEVICE, 'br0', 'lo'])
      expect(machine().hook('up', tunnelCall(device)).status, device).not.toBe(0);
    expect(sent()).toBe(0);
    const up = machine().hook('up', tunnelCall('tun5'));
    expect(up.status, ran(up)).toBe(0);
    expect(machine().status()).toMatchObject({
      state: 'connected',
      exact: true,
      tunnels: [{ device: 'tun5' }],
    });
    must(machine().hook('down', tunnelCall('tun5')));
  });

  test.each([
    ['another account wrote', 'chown 61234'],
    ['others may write', 'chmod 666'],
  ])('a file that %s is believed by nobody', (_, change) => {
    const logged = machine().logMark();
    machine().write(`${TUNNELS}/tun5`, fileOf('tun5'));
    must(machine().sh(`${change} ${TUNNELS}/tun5`));
    expect(machine().status().tunnels).toEqual([]);
    must(machine().command('lock'));
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
    expect(machine().list(TUNNELS)).toEqual([]);
    expect(logged().map(({ event }) => event)).toContain('state-refused');
  });
});
