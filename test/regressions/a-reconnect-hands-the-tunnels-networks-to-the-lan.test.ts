import { beforeEach, describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, type Machine, must, useMachine } from '../hooks/installed-machine.ts';

/**
 * OpenVPN runs `down` before each reconnect. The networks that the server had routed into the
 * tunnel, and the network of its own address, were the LAN's until the next `up`: what programs
 * sent there left in clear.
 */

/** Where what belongs to the tunnel would go: an interface of the LAN that takes every packet. */
const UPLINK = 'lan0';
const SCENE = `
  set -e
  ip link add ${UPLINK} type veth peer name lan1; echo 1 >/proc/sys/net/ipv6/conf/${UPLINK}/disable_ipv6; ip link set lan1 up; ip link set ${UPLINK} arp off up
  ip address add 192.168.77.2/24 dev ${UPLINK}; ip route add 10.0.0.0/8 dev ${UPLINK}; ip link set lo up`;
/** A host behind the server, the server's own address inside, and a host of the LAN. */
const [BEHIND, SERVER, LAN_HOST] = ['10.66.0.5', '10.8.0.1', '192.168.77.9'];
const ROUTE = {
  route_network_1: '10.66.0.0',
  route_netmask_1: '255.255.0.0',
  route_gateway_1: SERVER,
};

/** Sends some datagrams to each address. @returns how many packets the LAN got. */
function reach(it: Machine, ...addresses: readonly string[]): number {
  // proc(5), /proc/net/dev: eight columns of what came in, then the packets behind the bytes that
  // left.
  const sent = () =>
    Number(
      new RegExp(`${UPLINK}:(\\s*\\d+){9}\\s+(\\d+)`).exec(
        must(it.sh('cat /proc/net/dev')).stdout,
      )?.[2],
    );
  const before = sent();
  for (const address of addresses)
    it.run('bash', '-c', `for i in 1 2 3; do echo x >/dev/udp/${address}/9; done 2>/dev/null`);
  return sent() - before;
}

/** A process that stands for OpenVPN: its number, and its end. */
function startClient(it: Machine): { readonly pid: string; readonly end: () => void } {
  const pid = must(it.sh('setsid sleep 600 >/dev/null 2>&1 & echo $!')).stdout.trim();
  return { pid, end: () => void it.sh(`kill -9 ${pid}; sleep 0.1`) };
}

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => must(fresh.sh(SCENE)));
  let client: ReturnType<typeof startClient>;
  const call = (more: Readonly<Record<string, string>> = {}) =>
    tunnelCall('tun0', { daemon_pid: client.pid, ...ROUTE, ...more });
  const connect = () => must(machine().hook('up', call()));
  const down = (signal: string) =>
    must(machine().hook('down', call({ signal, script_type: 'down' })));

  beforeEach(() => {
    client = startClient(machine());
    machine().sh('rm -rf /run/ovpn-killswitch/former');
    machine().relock(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
  });

  test('the LAN gets what is sent to it, and to networks that no tunnel had', () => {
    expect(reach(machine(), BEHIND, SERVER, LAN_HOST)).toBe(9);
  });

  test.each([
    'sigusr1',
    'sighup',
    'ping-restart',
    'connection-reset',
    'UNKNOWN',
    'auth-failure',
    'something new',
  ])(
    'nothing to the tunnel’s networks leaves after a down with signal=%s, and the LAN stays the LAN',
    (signal) => {
      connect();
      expect(reach(machine(), BEHIND, SERVER)).toBe(0);
      const logged = machine().logMark();
      down(signal);
      expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['removed']);
      expect(reach(machine(), BEHIND, SERVER)).toBe(0);
      expect(reach(machine(), LAN_HOST)).toBe(3);
      expect(machine().status()).toMatchObject({
        state: 'blocked',
        exact: true,
        tunnels: [],
        former: [
          { kind: 'reconnecting', device: 'tun0', networks: ['10.66.0.0/16', '10.8.0.0/24'] },
        ],
      });
    },
  );

  test('ten reconnects keep them shut at every step, and each step only takes away or only adds', () => {
    const logged = machine().logMark();
    connect();
    const connected = machine().rules();
    for (let count = 0; count < 10; count++) {
      down('sigusr1');
      expect(reach(machine(), BEHIND, SERVER)).toBe(0);
      connect();
      expect(reach(machine(), BEHIND, SERVER)).toBe(0);
    }
    const steps = logged().flatMap(({ applied }) => applied ?? []);
    expect(steps).toEqual([
      'added',
      ...Array.from({ length: 10 }, () => ['removed', 'added']).flat(),
    ]);
    expect(machine().rules()).toEqual(connected);
    expect(machine().status()).toMatchObject({ state: 'connected', exact: true, former: [] });
  });

  test('a server that pushes other networks after a reconnect frees the old ones, in one step', () => {
    connect();
    down('sigusr1');
    const logged = machine().logMark();
    must(machine().hook('up', call({ ifconfig_local: '10.9.0.2', route_network_1: '10.67.0.0' })));
    expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['amended']);
    expect(reach(machine(), '10.67.0.5', '10.9.0.1')).toBe(0);
    expect(reach(machine(), BEHIND, SERVER)).toBe(6);
    expect(machine().status()).toMatchObject({ state: 'connected', exact: true, former: [] });
  });

  test('another OpenVPN on the device’s name does not free them', () => {
    connect();
    down('ping-restart');
    const other = startClient(machine());
    const second = tunnelCall('tun0', { daemon_pid: other.pid, ifconfig_local: '10.9.0.2' });
    must(machine().hook('up', second));
    expect(reach(machine(), BEHIND, SERVER)).toBe(0);
    must(machine().hook('down', { ...second, env: { ...second.env, signal: 'sigterm' } }));
    expect(reach(machine(), BEHIND, SERVER)).toBe(0);
    other.end();
  });

  test.each(['sigterm', 'sigint', 'exit-with-notification', 'server-pushed-halt', 'inactive'])(
    'a down with signal=%s, which is an end, frees them',
    (signal) => {
      connect();
      down(signal);
      expect(reach(machine(), BEHIND, SERVER)).toBe(6);
      expect(machine().status()).toMatchObject({
        exact: true,
        former: [{ kind: 'ended', device: 'tun0' }],
      });
    },
  );

  test('the end of OpenVPN’s process frees them at the next hook or lock, and so does lock itself', () => {
    connect();
    down('sigusr1');
    client.end();
    expect(reach(machine(), BEHIND, SERVER)).toBe(0);
    must(machine().hook('up', tunnelCall('tun1', { ifconfig_local: '10.9.0.2' })));
    expect(reach(machine(), BEHIND, SERVER)).toBe(6);
    must(
      machine().hook('down', { ...tunnelCall('tun1'), env: { dev: 'tun1', signal: 'sigusr1' } }),
    );
    expect(reach(machine(), '10.9.0.1')).toBe(0);
    must(machine().command('lock', '--force'));
    expect(reach(machine(), '10.9.0.1')).toBe(3);
    expect(machine().status()).toMatchObject({ exact: true, former: [] });
  });

  test('an up that fails after a reconnect leaves them shut', () => {
    connect();
    down('sigusr1');
    const nft = backend === 'nftables';
    // Nothing can load rules: OpenVPN gives up then.
    const hide = (nft ? ['nft'] : ['iptables-restore', 'ip6tables-restore'])
      .map((name) => `mount --bind /bin/false "$(readlink -f /usr/sbin/${name})"`)
      .slice(0, 1);
    must(machine().sh(hide.join('; ')));
    expect(machine().hook('up', call()).status).not.toBe(0);
    must(machine().sh(hide.join('; ').replaceAll('mount --bind /bin/false', 'umount')));
    expect(reach(machine(), BEHIND, SERVER)).toBe(0);
    must(machine().hook('up', tunnelCall('tun1', { ifconfig_local: '10.9.0.2' })));
    expect(reach(machine(), BEHIND, SERVER)).toBe(0);
  });

  test('a machine that was unlocked for a while keeps them shut when it locks again by itself', () => {
    connect();
    must(machine().command('unlock', '--for', '1s'));
    down('sigusr1');
    must(machine().sh('sleep 1.2; ovpn-killswitch due'));
    expect(reach(machine(), BEHIND, SERVER)).toBe(0);
  });
});
