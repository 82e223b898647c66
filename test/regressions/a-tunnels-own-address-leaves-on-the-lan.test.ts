import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { apply } from '../../src/transaction/apply.ts';
import { backendOf, KINDS } from '../support/kinds.ts';
import { inSandbox } from '../support/machine.ts';
import { POLICIES } from '../support/policies.ts';
import { sandboxHost } from '../support/sandbox-host.ts';

/**
 * A program that is bound to the tunnel's own address, or a segment of a connection inside the
 * tunnel that is sent again, reached the LAN with that address while the LAN was allowed.
 */

/** A LAN host that counts the payload, and a tunnel. */
const SCENE = `
set -e
ip netns add lan
ip link add eth0 type veth peer name eth0p netns lan
ip addr add 192.168.77.2/24 dev eth0; ip link set eth0 up; ip link set lo up
ip -n lan addr add 192.168.77.1/24 dev eth0p; ip -n lan link set eth0p up
ip neigh add 192.168.77.1 lladdr "$(ip -n lan -o link show eth0p | sed 's/.*ether \\([0-9a-f:]*\\) .*/\\1/')" dev eth0 nud permanent
ip link add tun0 type veth peer name tun0p; ip addr add 10.8.0.6/24 dev tun0; ip link set tun0 up; ip link set tun0p up
for each in all eth0 tun0; do echo 0 >/proc/sys/net/ipv4/conf/$each/rp_filter; done
nsenter --net=/run/netns/lan nft -f - <<'END'
table inet seen {
  counter probes {}
  chain pre { type filter hook prerouting priority -300; policy accept; udp dport 9999 @th,64,64 0x6c65616b2d707262 counter name probes drop; }
}
END
`;

/**
 * Sends ten payloads from an address to the LAN host, as a user without rights. @returns how many
 * it saw.
 */
function sendTen(sandbox: Sandbox, from: string): number {
  const seen = () =>
    Number(
      /packets (\d+)/.exec(
        sandbox.run(['nft', 'list', 'counter', 'inet', 'seen', 'probes'], { at: 'lan' }).stdout,
      )?.[1],
    );
  const before = seen();
  const program = `const s = require('node:dgram').createSocket('udp4');
s.bind(0, '${from}', async () => {
  for (let i = 0; i < 10; i++) await new Promise((done) => s.send('leak-prb', 9999, '192.168.77.1', done));
  s.close();
});`;
  sandbox.run([
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    process.execPath,
    '-e',
    program,
  ]);
  return seen() - before;
}

describe.each(KINDS)('with %s', (kind) => {
  test('the LAN gets what carries the LAN’s address, and nothing that carries the tunnel’s', async (context) => {
    await inSandbox({ context, kind, users: true }, async (sandbox) => {
      const { status, stderr } = sandbox.run(['sh', '-s'], { stdin: SCENE });
      if (status !== 0) throw new Error(stderr);
      expect(sendTen(sandbox, '10.8.0.6')).toBe(10);
      apply(sandboxHost(sandbox), backendOf(kind), compile(POLICIES.connected));
      expect(sendTen(sandbox, '192.168.77.2')).toBe(10);
      expect(sendTen(sandbox, '10.8.0.6')).toBe(0);
      // Between a tunnel's end and the next.
      const { base } = POLICIES.connected;
      const [live] = POLICIES.connected.state === 'connected' ? POLICIES.connected.tunnels : [];
      if (live === undefined) throw new Error('the policy has no tunnel');
      const former = {
        kind: 'reconnecting' as const,
        device: live.device,
        addresses: live.addresses,
        networks: live.networks,
      };
      apply(
        sandboxHost(sandbox),
        backendOf(kind),
        compile({ state: 'blocked', base, former: [former] }),
      );
      expect(sendTen(sandbox, '192.168.77.2')).toBe(10);
      expect(sendTen(sandbox, '10.8.0.6')).toBe(0);
    });
  });
});
