import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { apply, look, removeRules } from '../../src/transaction/apply.ts';
import { backendOf, KINDS } from '../support/kinds.ts';
import { inSandbox } from '../support/machine.ts';
import { POLICIES } from '../support/policies.ts';
import { sandboxHost } from '../support/sandbox-host.ts';

/**
 * Rules matched the interface that the hook `output` sees. A mark with a routing rule, a chain of
 * type route, and DNAT route a packet anew after that: it left by the uplink in clear, on a machine
 * without any tunnel too.
 */

/**
 * The uplink with its router, a tunnel that takes every packet, and a second uplink that is down.
 */
const SCENE = `
set -e
ip netns add router; ip netns add far
for link in eth0:192.168.77.2:192.168.77.1:router tun0:10.8.0.6:10.8.0.1:far eth1:192.168.78.2:192.168.78.1:router; do
  IFS=:; set -- $link; unset IFS
  ip link add "$1" type veth peer name "$1p" netns "$4"
  ip addr add "$2/24" dev "$1"; ip link set "$1" up
  ip -n "$4" addr add "$3/24" dev "$1p"; ip -n "$4" link set "$1p" up; ip -n "$4" link set lo up
  ip neigh add "$3" lladdr "$(ip -n "$4" -o link show "$1p" | sed 's/.*ether \\([0-9a-f:]*\\) .*/\\1/')" dev "$1" nud permanent
done
ip link set lo up
ip route add default via 10.8.0.1 dev tun0
ip route add default via 192.168.77.1 dev eth0 table 100
ip link set eth1 down
for space in self router; do
  for each in all default eth0 tun0 eth0p; do echo 0 >/proc/sys/net/ipv4/conf/$each/rp_filter 2>/dev/null || :; done
done
echo 1 >/proc/sys/net/ipv4/ip_forward
nsenter --net=/run/netns/router nft -f - <<'END'
table inet seen {
  counter clear {}
  chain pre { type filter hook prerouting priority -300; policy drop; udp dport 9999 @th,64,64 0x6c65616b2d707262 counter name clear; }
}
END
`;

/**
 * Sends ten payloads to an address as a user without rights. @returns how many of them the router
 * saw.
 */
function sendTen(sandbox: Sandbox, to: string, port = 9999): number {
  const seen = () =>
    Number(
      /packets (\d+)/.exec(
        sandbox.run(['nft', 'list', 'counter', 'inet', 'seen', 'clear'], { at: 'router' }).stdout,
      )?.[1],
    );
  const before = seen();
  sandbox.run([
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    'bash',
    '-c',
    `for i in 1 2 3 4 5 6 7 8 9 10; do printf leak-prb >/dev/udp/${to}/${port}; done 2>/dev/null`,
  ]);
  return seen() - before;
}

const INTERNET = '198.51.100.80';
const nft = (table: string) => `nft -f - <<'END'\n${table}\nEND`;
const natTable = (target: string, more = '') =>
  nft(`table ip r {
  chain o { type nat hook output priority -100; udp dport 7777 dnat to ${target}:9999; }
  ${more}
}`);
const MASQUERADE =
  'chain p { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }';
const BY_MARK = 'ip rule add fwmark 0x64 lookup 100';
const BY_UPLINK = 'ip route replace default via 192.168.77.1 dev eth0';
const LOCAL = { to: '127.0.0.1', port: 7777 };

interface Way {
  /** Shell lines that another program of root has run. */
  readonly set: readonly string[];
  readonly to: string;
  readonly port?: number;
}

const marking = (priority: string) =>
  nft(
    `table inet r { chain o { type route hook output priority ${priority}; meta l4proto udp meta mark set 0x64; }; }`,
  );

/** How another program routes a packet anew, and where the payload is sent to. */
const WAYS: Readonly<Record<string, Way>> = {
  'a mark that iptables sets': {
    set: ['iptables -t mangle -I OUTPUT -p udp -j MARK --set-mark 0x64', BY_MARK],
    to: INTERNET,
  },
  'a mark that a chain of type route sets': { set: [marking('mangle'), BY_MARK], to: INTERNET },
  'a mark that is set last of all': { set: [marking('1000'), BY_MARK], to: INTERNET },
  'DNAT of a local port to the internet': { set: [natTable(INTERNET), BY_UPLINK], ...LOCAL },
  'DNAT of a local port to the internet, from the uplink’s address': {
    set: [natTable(INTERNET, MASQUERADE), BY_UPLINK],
    ...LOCAL,
  },
  'DNAT of a local port to the LAN': { set: [natTable('192.168.77.1', MASQUERADE)], ...LOCAL },
  'a routing rule for a user': {
    set: ['ip rule add uidrange 65534-65534 lookup 100'],
    to: INTERNET,
  },
  'a source address that another program sets': {
    set: [
      nft(
        'table ip r { chain p { type nat hook postrouting priority srcnat; snat to 192.168.77.2; }; }',
      ),
      'ip rule add uidrange 65534-65534 lookup 100',
    ],
    to: INTERNET,
  },
  'a second uplink that comes up': {
    set: ['ip link set eth1 up', 'ip route add 198.51.100.0/24 via 192.168.78.1 dev eth1 onlink'],
    to: INTERNET,
  },
};

const POLICY_OF = { connected: 'connected, LAN off', blocked: 'blocked, LAN off' } as const;

describe.each(KINDS)('with %s', (kind) => {
  test.for(Object.entries(WAYS))(
    'nothing leaves in clear by %s',
    async ([, { set, to, port }], context) => {
      await inSandbox({ context, kind, users: true }, async (sandbox) => {
        const must = (...lines: readonly string[]) => {
          const { status, stderr } = sandbox.run(['sh', '-s'], {
            stdin: ['set -e', ...lines].join('\n'),
          });
          if (status !== 0) throw new Error(stderr);
        };
        must(SCENE);
        must(...set, 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet');
        const host = sandboxHost(sandbox);
        const backend = backendOf(kind);
        const { policies } = look(host, backend);
        expect(sendTen(sandbox, to, port)).toBe(10);
        for (const state of ['blocked', 'connected'] as const) {
          apply(host, backend, compile(POLICIES[POLICY_OF[state]]));
          expect({ state, clear: sendTen(sandbox, to, port) }).toEqual({ state, clear: 0 });
        }
        removeRules(host, backend, policies);
        expect(sendTen(sandbox, to, port)).toBe(10);
      });
    },
  );
});
