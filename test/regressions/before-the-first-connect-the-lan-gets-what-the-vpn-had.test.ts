import { beforeEach, describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, type Call, type Machine, must, useMachine } from '../hooks/installed-machine.ts';

/**
 * Between two connections, and at boot before the first, the private networks behind the VPN were
 * the LAN's: programs that know hosts there sent to whichever machine of the LAN had their
 * addresses.
 */

const UPLINK = 'lan0';
const PROFILE = '/etc/openvpn/client/a.conf';
const SCENE = `
  set -e
  ip link add ${UPLINK} type veth peer name lan1; echo 1 >/proc/sys/net/ipv6/conf/${UPLINK}/disable_ipv6; ip link set lan1 up; ip link set ${UPLINK} arp off up
  ip address add 192.168.77.2/24 dev ${UPLINK}; ip route add 10.0.0.0/8 dev ${UPLINK}; ip link set lo up
  mkdir -p /etc/openvpn/client; printf 'client\\ndev tun\\nremote 203.0.113.10 1194 udp\\n' >${PROFILE}
  cp ${PROFILE} /etc/openvpn/client/b.conf`;
/** A host behind the server, and one of the LAN. */
const [BEHIND, LAN_HOST] = ['10.66.0.5', '192.168.77.9'];

/** Sends some datagrams to an address. @returns how many packets the LAN got. */
function reach(it: Machine, address: string): number {
  const sent = () =>
    Number(
      new RegExp(`${UPLINK}:(\\s*\\d+){9}\\s+(\\d+)`).exec(
        must(it.sh('cat /proc/net/dev')).stdout,
      )?.[2],
    );
  const before = sent();
  it.run('bash', '-c', `for i in 1 2 3; do echo x >/dev/udp/${address}/9; done 2>/dev/null`);
  return sent() - before;
}

const call = (more: Readonly<Record<string, string>> = {}): Call =>
  tunnelCall('tun0', {
    config: PROFILE,
    route_network_1: '10.66.0.0',
    route_netmask_1: '255.255.0.0',
    route_gateway_1: '10.8.0.1',
    ...more,
  });

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => must(fresh.sh(SCENE)));
  const lock = (...more: readonly string[]) =>
    machine().relock(`KILLSWITCH_BACKEND=${backend}`, ...more);
  const connectOnce = (more?: Readonly<Record<string, string>>) => {
    must(machine().hook('up', call(more)));
    must(machine().hook('down', call(more)));
  };

  beforeEach(() => {
    machine().sh('rm -rf /var/lib/ovpn-killswitch/networks');
    lock();
    must(machine().command('attach', PROFILE));
  });

  test('the LAN gets what is sent to networks that no profile ever had', () => {
    expect(reach(machine(), BEHIND)).toBe(3);
  });

  test('the networks of an attached profile stay shut after its end, and only up and down change anything else', () => {
    const logged = machine().logMark();
    connectOnce();
    expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['added', 'removed']);
    expect(reach(machine(), BEHIND)).toBe(0);
    expect(reach(machine(), LAN_HOST)).toBe(3);
    must(machine().command('lock', '--force'));
    expect(reach(machine(), BEHIND)).toBe(0);
    expect(machine().status()).toMatchObject({
      state: 'blocked',
      exact: true,
      former: [{ kind: 'remembered', profile: PROFILE, networks: ['10.66.0.0/16', '10.8.0.0/24'] }],
    });
    connectOnce();
    expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual([
      'added',
      'removed',
      'added',
      'removed',
    ]);
  });

  test('they are those of the last connection alone', () => {
    connectOnce();
    connectOnce({ route_network_1: '10.67.0.0' });
    expect(reach(machine(), '10.67.0.5')).toBe(0);
    expect(reach(machine(), BEHIND)).toBe(3);
  });

  test('they are in the base that is loaded at boot', () => {
    connectOnce();
    must(machine().command('refresh'));
    must(machine().sh('rm -rf /run/ovpn-killswitch'));
    must(
      machine().sh(
        backend === 'nftables'
          ? 'nft flush ruleset'
          : 'iptables -F; ip6tables -F; iptables -t security -F',
      ),
    );
    must(machine().sh('/usr/local/lib/ovpn-killswitch/boot'));
    expect(reach(machine(), BEHIND)).toBe(0);
    expect(reach(machine(), LAN_HOST)).toBe(3);
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('a LAN that the settings list wins over them, but not over a tunnel that is there or reconnects', () => {
    connectOnce();
    lock('KILLSWITCH_LAN=10.66.0.0/16,192.168.77.0/24');
    expect(reach(machine(), BEHIND)).toBe(3);
    must(machine().hook('up', call()));
    expect(reach(machine(), BEHIND)).toBe(0);
    must(machine().hook('down', call({ signal: 'sigusr1' })));
    expect(reach(machine(), BEHIND)).toBe(0);
    expect(machine().status()).toMatchObject({ exact: true });
  });

  test('detach frees them, also of a profile that is gone', () => {
    connectOnce();
    must(machine().command('detach', PROFILE));
    expect(reach(machine(), BEHIND)).toBe(3);
    must(machine().command('attach', PROFILE));
    connectOnce();
    must(machine().sh(`mv ${PROFILE} /root/a.conf`));
    expect(reach(machine(), BEHIND)).toBe(0);
    must(machine().command('detach', PROFILE));
    expect(reach(machine(), BEHIND)).toBe(3);
    must(machine().sh(`cp /etc/openvpn/client/b.conf ${PROFILE}`));
    expect(machine().status()).toMatchObject({ exact: true, former: [{ kind: 'ended' }] });
  });

  test('nothing is remembered of a profile that is not attached', () => {
    connectOnce({ config: '/etc/openvpn/client/b.conf' });
    expect(reach(machine(), BEHIND)).toBe(3);
  });

  test('the VPN client, to an endpoint inside what is shut, gets through', () => {
    connectOnce({ route_network_1: '203.0.113.0', route_netmask_1: '255.255.255.0' });
    must(machine().sh(`ip route replace 203.0.113.0/24 dev ${UPLINK}`));
    const before = must(machine().sh('cat /proc/net/dev')).stdout;
    must(machine().run('bash', '-c', 'echo x >/dev/udp/203.0.113.10/1194'));
    expect(must(machine().sh('cat /proc/net/dev')).stdout).not.toBe(before);
  });
});
