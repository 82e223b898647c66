import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { HERE_ADDRESSES, HERE_PROBES } from '../../src/proof/here-probes.ts';
import { machineWith } from '../support/machine.ts';
import { installProduct, type Product } from '../support/product.ts';

/** An uplink with default routes of both families, to a neighbour whose hardware address is known: nothing waits for an answer. */
const UPLINK = `
set -e
ip netns add far
ip link add eth0 type veth peer name eth0 netns far
ip -n far link set eth0 up; ip link set eth0 up
ip addr add 203.0.113.5/24 dev eth0; ip addr add 2001:db8:1::5/64 dev eth0 nodad
ip route add default via 203.0.113.1; ip -6 route add default via 2001:db8:1::1
for router in 203.0.113.1 2001:db8:1::1; do ip neigh add $router lladdr 02:00:00:00:00:01 dev eth0; done
`;

interface Planted {
  readonly name: string;
  /** Words of a rule that lets this class out. */
  readonly nft: string;
  readonly iptables: readonly [tool: string, words: string];
}

const CLASSES: readonly Planted[] = [
  ...HERE_PROBES.map(({ name, transport, address, port }): Planted => {
    const six = address.includes(':');
    return {
      name,
      nft: `${six ? 'ip6' : 'ip'} daddr ${address} ${transport} dport ${port}`,
      iptables: [six ? 'ip6tables' : 'iptables', `-d ${address} -p ${transport} --dport ${port}`],
    };
  }),
  {
    name: 'ping, IPv4',
    nft: `ip daddr ${HERE_ADDRESSES.ipv4} icmp type echo-request`,
    iptables: ['iptables', `-d ${HERE_ADDRESSES.ipv4} -p icmp`],
  },
  {
    name: 'ping, IPv6',
    nft: `ip6 daddr ${HERE_ADDRESSES.ipv6} icmpv6 type echo-request`,
    iptables: ['ip6tables', `-d ${HERE_ADDRESSES.ipv6} -p ipv6-icmp`],
  },
];

describe.each(['nftables', 'iptables-nft'] as const)('%s', (kind) => {
  let product: Product | undefined;
  const machine = machineWith(kind, (sandbox) => {
    product = installProduct(sandbox);
    product.set({ KILLSWITCH_BACKEND: kind === 'nftables' ? 'nftables' : 'iptables', KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp' });
    const made = sandbox.run(['sh', '-c', UPLINK]);
    if (made.status !== 0) throw new Error(made.stderr);
  });

  /** The classes that left, and the exit status. */
  function proved(): { readonly status: number | null; readonly left: readonly string[] } {
    const { status, stdout, stderr } = product?.run('prove', '--here') ?? { status: null, stdout: '', stderr: '' };
    expect(stderr).toBe('');
    const rows = [...stdout.matchAll(/^(.+?) {2,}(\d+) tried, (nothing left|\d+ LEFT)$/gm)];
    expect(rows.map(([, name]) => name)).toEqual(CLASSES.map(({ name }) => name));
    return { status, left: rows.flatMap(([, name = '', , what]) => (what === 'nothing left' ? [] : [name])) };
  }

  function plant(sandbox: Sandbox, { nft, iptables: [tool, words] }: Planted): void {
    const command =
      kind === 'nftables' ? `nft insert rule inet ovpn_killswitch output ${nft} accept` : `${tool} -I OUTPUT 1 ${words} -j ACCEPT`;
    expect(sandbox.run(['sh', '-c', command])).toMatchObject({ status: 0 });
  }

  test('on an open machine every class leaves', (context) => {
    machine.sandbox(context);
    expect(proved()).toEqual({ status: 1, left: CLASSES.map(({ name }) => name) });
  });

  test('on a locked machine nothing leaves, and no table of the counting stays', (context) => {
    const sandbox = machine.sandbox(context);
    product?.succeed('lock');
    expect(proved()).toEqual({ status: 0, left: [] });
    expect(sandbox.run(['nft', 'list', 'tables']).stdout).not.toContain('prove');
  });

  // Each class leaks in runs of its own: no two have the same bits.
  test.for([0, 1, 2, 3, 4])('leaks that are planted above our rules are reported class by class (bit %i)', (bit, context) => {
    const sandbox = machine.sandbox(context);
    product?.succeed('lock');
    const planted = CLASSES.filter((_, index) => (((index + 1) >> bit) & 1) === 1);
    for (const each of planted) plant(sandbox, each);
    expect(proved()).toEqual({ status: 1, left: planted.map(({ name }) => name) });
    if (kind !== 'nftables')
      sandbox.run([
        'sh',
        '-c',
        'for tool in iptables ip6tables; do while $tool -S OUTPUT 2 >/dev/null 2>&1 && [ "$($tool -S OUTPUT | sed -n 2p)" != "-A OUTPUT -j KILLSWITCH-OUTPUT" ]; do $tool -D OUTPUT 1; done; done',
      ]);
    product?.succeed('lock');
    expect(product?.report()).toMatchObject({ exit: 0 });
  });
});
