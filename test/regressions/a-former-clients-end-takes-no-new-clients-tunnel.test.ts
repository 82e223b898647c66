import { describe, expect, test } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import { settleTunnels } from '../../src/record/former-tunnels.ts';
import { readLiveTunnels, writeLiveTunnel } from '../../src/record/live-tunnels.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, must, TUNNELS, useMachine } from '../hooks/installed-machine.ts';
import { fakeHost } from '../support/fake-host.ts';
import { TUN0 } from '../support/policies.ts';

/**
 * A client was killed, and the next one brought up a device of the same name, while a command found
 * the first one gone: it took the second one's tunnel away. That one said that it was connected and
 * carried nothing, and the next `lock` forgot its server.
 */

/** The stat of a process (proc(5)) that started at these clock ticks. */
const stat = (start: number) => `1 (openvpn) S ${'0 '.repeat(18)}${start} 0\n`;

const tunnelOf = (pid: number) => ({
  tunnel: TUN0,
  since: pid,
  daemon: { pid, start: `${pid}` },
  deviceSeen: false,
});

test('a tunnel that comes up while the former one of its device is settled stays live', () => {
  const host = fakeHost({ files: { '/proc/391/stat': stat(391) } });
  writeLiveTunnel(host, tunnelOf(253));
  const { write } = host;
  host.write = (path, text) => {
    write(path, text);
    // The next client's `up` takes no lock.
    if (path.startsWith(PATHS.former)) writeLiveTunnel({ ...host, write }, tunnelOf(391));
  };
  settleTunnels(host);
  expect(readLiveTunnels(host)).toEqual([tunnelOf(391)]);
});

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => {
    fresh.relock(
      `KILLSWITCH_BACKEND=${backend}`,
      'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
      'KILLSWITCH_LAN=off',
    );
  });

  test('the end of a client that is late leaves the tunnel of the next one on that device', () => {
    const it = machine();
    const [first = '', second = ''] = must(
      it.sh('for _ in 1 2; do sleep 600 >/dev/null 2>&1 & echo $!; done'),
    )
      .stdout.trim()
      .split('\n');
    must(it.hook('up', tunnelCall('tun5', { daemon_pid: first })));
    must(it.hook('up', tunnelCall('tun5', { daemon_pid: second })));
    const rules = it.rules();
    must(it.hook('down', tunnelCall('tun5', { daemon_pid: first })));
    expect(it.list(TUNNELS)).toEqual(['tun5']);
    expect(it.rules()).toEqual(rules);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun5', { daemon_pid: second })));
    expect(it.list(TUNNELS)).toEqual([]);
    must(it.sh(`kill ${first} ${second}`));
  });
});
