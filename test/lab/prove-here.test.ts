import { describe, expect, test } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { HERE_CLASSES } from '../../src/proof/here-probes.ts';
import { machineWith } from '../support/machine.ts';
import { installProduct, type Product } from '../support/product.ts';

/**
 * An uplink with default routes of both families, to a neighbour whose hardware address is known:
 * nothing waits for an answer.
 */
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

const CLASSES: readonly Planted[] = HERE_CLASSES.map((each): Planted => {
  const { name, transport, address } = each;
  const six = address.includes(':');
  const port = transport === 'icmp' ? undefined : each.port;
  const icmp = six ? 'icmpv6 type echo-request' : 'icmp type echo-request';
  return {
    name,
    nft: `${six ? 'ip6' : 'ip'} daddr ${address} ${port === undefined ? icmp : `${transport} dport ${port}`}`,
    iptables: [
      six ? 'ip6tables' : 'iptables',
      `-d ${address} -p ${port !== undefined ? `${transport} --dport ${port}` : six ? 'ipv6-icmp' : 'icmp'}`,
    ],
  };
});
const NAMES = CLASSES.map(({ name }) => name);

/**
 * A tunnel that takes every packet, as redirect-gateway makes it: what is not bound to the uplink
 * goes there.
 */
const TUNNEL = `
set -e
ip tuntap add tun0 mode tun; ip link set tun0 up
ip addr add 10.8.0.2/24 dev tun0; ip addr add fd00:8::2/64 dev tun0 nodad
for half in 0.0.0.0/1 128.0.0.0/1; do ip route add $half dev tun0; done
for half in ::/1 8000::/1; do ip -6 route add $half dev tun0; done
`;

/** An nft as on a kernel without netdev egress, or older than that; it does everything else. */
const NO_EGRESS = `
cp /usr/sbin/nft /run/nft
cat >/run/old-nft <<'END'
#!/bin/sh
case "$*" in *-f*) text=$(cat); case $text in *netdev*) echo 'Error: unknown chain hook egress' >&2; exit 1;; esac; printf '%s' "$text" | /run/nft "$@";; *) exec /run/nft "$@";; esac
END
chmod 755 /run/old-nft
mount --bind /run/old-nft /usr/sbin/nft
`;

/** The result of prove for each class, and the exit status. */
function proved(product: Product | undefined, ...flags: readonly string[]) {
  const { status, stdout, stderr } = product?.run('prove', '--here', ...flags) ?? {
    status: null,
    stdout: '',
    stderr: '',
  };
  expect(stderr).toBe('');
  const rows = [...stdout.matchAll(/^(.+?) {2,}(\d+) tried, (nothing left|(\d+) LEFT)$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(NAMES);
  const counts = new Map(rows.map(([, name = '', , , count = '0']) => [name, Number(count)]));
  return { status, stdout, counts, left: NAMES.filter((name) => counts.get(name) !== 0) };
}

function setUp(
  sandbox: Sandbox,
  backend: 'nftables' | 'iptables',
  ...scripts: readonly string[]
): Product {
  const product = installProduct(sandbox);
  product.set({ KILLSWITCH_BACKEND: backend, KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp' });
  for (const script of scripts)
    expect(sandbox.run(['sh', '-euc', script])).toMatchObject({ status: 0, stderr: '' });
  return product;
}

/** A packet accepted in one table alone is stopped by the other. */
function throughBothWalls([tool, words]: Planted['iptables']): string {
  return ['filter -I OUTPUT', 'mangle -I POSTROUTING']
    .map((where) => `${tool} -t ${where} 1 ${words} -j ACCEPT`)
    .join(' && ');
}

describe.each(['nftables', 'iptables-nft'] as const)('%s', (kind) => {
  let product: Product | undefined;
  const machine = machineWith(kind, (sandbox) => {
    product = setUp(sandbox, kind === 'nftables' ? 'nftables' : 'iptables', UPLINK);
  });

  function plant(sandbox: Sandbox, { nft, iptables }: Planted): void {
    const command =
      kind === 'nftables'
        ? `nft insert rule inet ovpn_killswitch postrouting ${nft} accept`
        : throughBothWalls(iptables);
    expect(sandbox.run(['sh', '-c', command])).toMatchObject({ status: 0 });
  }

  test('on an open machine every class leaves', (context) => {
    machine.sandbox(context);
    expect(proved(product)).toMatchObject({ status: 1, left: NAMES });
  });

  test('on a locked machine nothing leaves, and no table of the counting stays', (context) => {
    const sandbox = machine.sandbox(context);
    product?.succeed('lock');
    expect(proved(product)).toMatchObject({ status: 0, left: [] });
    expect(sandbox.run(['nft', 'list', 'tables']).stdout).not.toContain('prove');
  });

  // Each class leaks in runs of its own: no two have the same bits. The first has none, and leaks
  // on the open machine alone.
  test.for([0, 1, 2, 3])(
    'leaks that are planted above our rules are reported class by class (bit %i)',
    (bit, context) => {
      const sandbox = machine.sandbox(context);
      product?.succeed('lock');
      const planted = CLASSES.filter((_, index) => ((index >> bit) & 1) === 1);
      for (const each of planted) plant(sandbox, each);
      expect(proved(product)).toMatchObject({ status: 1, left: planted.map(({ name }) => name) });
      if (kind !== 'nftables')
        sandbox.run([
          'sh',
          '-c',
          'for tool in iptables ip6tables; do for where in "filter OUTPUT" "mangle POSTROUTING"; do set -- $where; while [ "$($tool -t $1 -S $2 | sed -n 2p)" != "-A $2 -j KILLSWITCH-$2" ]; do $tool -t $1 -D $2 1; done; done; done',
        ]);
      product?.succeed('lock');
      expect(product?.report()).toMatchObject({ exit: 0 });
    },
  );
});

describe('beside a tunnel that takes every packet', () => {
  let product: Product | undefined;
  const machine = machineWith('nftables', (sandbox) => {
    product = setUp(sandbox, 'nftables', UPLINK, TUNNEL);
    product.succeed('unlock');
    expect(product.hook('up').status).toBe(0);
  });

  test('what is bound to the uplink leaves, of every class, while nothing is locked', (context) => {
    machine.sandbox(context);
    const { status, counts } = proved(product);
    expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(NAMES.map((name) => [name, 1])));
    expect(status).toBe(1);
  });

  test('and nothing once it is locked', (context) => {
    machine.sandbox(context);
    product?.succeed('lock');
    expect(proved(product)).toMatchObject({ status: 0, left: [] });
  });

  test('a signal ends it, and no table of the counting stays', (context) => {
    const sandbox = machine.sandbox(context);
    const { status } = sandbox.run(['timeout', '1.5', PATHS.command, 'prove', '--here']);
    expect(status).toBe(124);
    expect(sandbox.run(['nft', 'list', 'tables']).stdout).not.toContain('prove');
  });

  test('without curl it says what was not sent', (context) => {
    const { status } = machine
      .sandbox(context)
      .run(['sh', '-c', 'mount --bind /bin/false /usr/bin/curl']);
    expect(status).toBe(0);
    expect(proved(product).stdout).toContain(
      'Bound to an interface, only ping was sent: for TCP and UDP, curl with TFTP',
    );
  });

  test('a tunnel whose OpenVPN is not known cannot be told to reconnect', (context) => {
    machine.sandbox(context);
    const { status, stderr } = product?.run('prove', '--here', '--reconnect') ?? {
      status: null,
      stderr: '',
    };
    expect(stderr).toContain(
      'no running OpenVPN with a live tunnel is known, so none can be made to reconnect [NO_PROOF]',
    );
    expect(status).toBe(69);
  });
});

describe('where the kernel has no place for counters', () => {
  let product: Product | undefined;
  const machine = machineWith('iptables-nft', (sandbox) => {
    product = setUp(sandbox, 'iptables', UPLINK, NO_EGRESS);
  });
  const tcpdumps = (sandbox: Sandbox) =>
    sandbox.run(['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " " | grep -c "[-]Q out"'])
      .stdout;

  test('a packet socket sees every class on an open machine', (context) => {
    machine.sandbox(context);
    expect(proved(product)).toMatchObject({ status: 1, left: NAMES });
  });

  test('and on a locked one nothing but the leaks that are planted', (context) => {
    const sandbox = machine.sandbox(context);
    product?.succeed('lock');
    expect(proved(product)).toMatchObject({ status: 0, left: [] });
    const planted = CLASSES.filter((_, index) => index % 3 === 0);
    for (const { iptables } of planted)
      expect(sandbox.run(['sh', '-c', throughBothWalls(iptables)]).status).toBe(0);
    expect(proved(product)).toMatchObject({ status: 1, left: planted.map(({ name }) => name) });
    expect(tcpdumps(sandbox)).toBe('0\n');
  });

  test('without tcpdump prove reports that nothing can count', (context) => {
    const sandbox = machine.sandbox(context);
    expect(
      sandbox.run(['sh', '-c', 'mount --bind /bin/false "$(command -v tcpdump)"']).status,
    ).toBe(0);
    const { status, stderr } = product?.run('prove', '--here') ?? { status: null, stderr: '' };
    expect(stderr).toMatch(
      /nothing here can count what leaves an interface \[NO_PROOF\]\n.* {2}nft .*\n.* {2}tcpdump: /,
    );
    expect(status).toBe(69);
  });
});
