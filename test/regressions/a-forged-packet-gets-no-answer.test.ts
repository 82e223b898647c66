import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSandbox, type Sandbox, sandboxObstacle } from '../../src/host/sandbox.ts';
import { startService } from '../../src/proof/service.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { apply, look, removeRules } from '../../src/transaction/apply.ts';
import { backendOf, KINDS, useKind } from '../support/kinds.ts';
import { formerOf, POLICIES, TUN0 } from '../support/policies.ts';
import { sandboxHost } from '../support/sandbox-host.ts';

/**
 * CVE-2019-14899 with real packets, sent with a raw socket: somebody on the LAN, or the VPN's
 * server, forges them and learns from an answer, in clear or encrypted, which address this machine
 * has inside the tunnel, or outside of it, and which connections.
 */

const PROGRAM = readFileSync(resolve(import.meta.dirname, '../support/forge.pl'), 'utf8');

/**
 * The LAN and the far end of the tunnel, which count whatever they get but neighbour discovery.
 * `far` holds one connection of this machine.
 */
const SCENE = `
set -e
ip netns add lan; ip netns add far
link() {
  ip link add "$1" type veth peer name "$1p" netns "$2"
  ip addr add "$3/24" dev "$1"; ip -6 addr add "$5/64" dev "$1" nodad; ip link set "$1" up
  ip -n "$2" addr add "$4/24" dev "$1p"; ip -n "$2" -6 addr add "$6/64" dev "$1p" nodad; ip -n "$2" link set "$1p" up; ip -n "$2" link set lo up
  here=$(ip -o link show "$1" | sed 's/.*ether \\([0-9a-f:]*\\) .*/\\1/'); there=$(ip -n "$2" -o link show "$1p" | sed 's/.*ether \\([0-9a-f:]*\\) .*/\\1/')
  for to in "$4" "$6"; do ip neigh replace "$to" lladdr "$there" dev "$1" nud permanent; done
  for to in "$3" "$5"; do ip -n "$2" neigh replace "$to" lladdr "$here" dev "$1p" nud permanent; done
}
link eth0 lan 192.168.77.2 192.168.77.9 fd77::2 fd77::9
link tun0 far 10.8.0.6 10.8.0.1 fd00:8::6 fd00:8::1
ip route add default via 10.8.0.1 dev tun0; ip -6 route add default via fd00:8::1 dev tun0
# The LAN host sends to the address inside the tunnel, and the server to the one on the LAN.
ip -n lan route add 10.8.0.6 via 192.168.77.2; ip -n lan -6 route add fd00:8::6 via fd77::2
ip -n far route add 192.168.77.2 via 10.8.0.6; ip -n far -6 route add fd77::2 via fd00:8::6
ip -n far addr add 198.51.100.80/32 dev lo; ip -n far -6 addr add 2001:db8:80::80/128 dev lo
# The weakest machine: no reverse path filter, and no wait for the rest of a packet.
for each in all default eth0 tun0; do echo 0 >/proc/sys/net/ipv4/conf/$each/rp_filter; done
echo 1 >/proc/sys/net/ipv4/ipfrag_time; echo 1 >/proc/sys/net/ipv6/ip6frag_time
for each in ipv4/icmp_ratelimit ipv6/icmp/ratelimit; do echo 0 >/proc/sys/net/$each; done
echo 1000000 >/proc/sys/net/ipv4/icmp_msgs_per_sec 2>/dev/null || :
# What was answered before is not answered again, and every segment that is wrong is.
echo 0 >/proc/sys/net/ipv4/tcp_synack_retries; echo 0 >/proc/sys/net/ipv4/tcp_invalid_ratelimit
[ ! -e /proc/sys/net/netfilter/nf_conntrack_frag6_timeout ] || echo 1 >/proc/sys/net/netfilter/nf_conntrack_frag6_timeout
`;

/** From now on both count what they get, and answer nothing. */
const COUNT = `
set -e
for at in lan far; do
nsenter --net=/run/netns/$at nft -f - <<END
table inet seen {
  counter answers {}
  chain pre { type filter hook prerouting priority -300; policy drop; icmpv6 type { 130-136, 143 } accept; counter name answers; }
}
END
done
`;

const WHOLE = ['syn', 'syn-ack', 'rst', 'ack', 'udp', 'echo'] as const;
const PARTS = ['first-fragment', 'later-fragment'] as const;

const FAMILIES = ['ipv4', 'ipv6'] as const;
type Family = (typeof FAMILIES)[number];

const INSIDE = { ipv4: '10.8.0.6', ipv6: 'fd00:8::6' };
const OUTSIDE = { ipv4: '192.168.77.2', ipv6: 'fd77::2' };
const LAN_HOST = { ipv4: '192.168.77.9', ipv6: 'fd77::9' };
const FAR_HOST = { ipv4: '198.51.100.80', ipv6: '2001:db8:80::80' };

/** A port here that listens, one that does not, and the ends of the connection that is open. */
const [LISTENS, SILENT, OWN, THEIRS] = [4022, 4023, 41000, 4080];

interface Forgery {
  readonly at: 'lan' | 'far';
  readonly from: Readonly<Record<Family, string>>;
  readonly to: Readonly<Record<Family, string>>;
  /** Ports of the open connection, or of nothing. */
  readonly ports: readonly (readonly [from: number, to: number])[];
}

const GUESSES = [
  [50000, LISTENS],
  [50001, SILENT],
] as const;
const TUPLE = [[THEIRS, OWN]] as const;

/**
 * The forgers and their packets. The server's packets of its own connection are no forgery: those
 * it may answer to.
 */
const FORGERIES: Readonly<Record<string, Forgery>> = {
  'the LAN, as itself, to the address inside': {
    at: 'lan',
    from: LAN_HOST,
    to: INSIDE,
    ports: GUESSES,
  },
  'the LAN, as a host of the internet, to the address inside': {
    at: 'lan',
    from: FAR_HOST,
    to: INSIDE,
    ports: GUESSES,
  },
  'the LAN, as the other end of an open connection': {
    at: 'lan',
    from: FAR_HOST,
    to: INSIDE,
    ports: TUPLE,
  },
  'the server, as a host of the LAN, to the address inside': {
    at: 'far',
    from: LAN_HOST,
    to: INSIDE,
    ports: GUESSES,
  },
  'the server, as a host of the internet, to the address inside': {
    at: 'far',
    from: FAR_HOST,
    to: INSIDE,
    ports: GUESSES,
  },
  'the server, as a host of the internet, to the address on the LAN': {
    at: 'far',
    from: FAR_HOST,
    to: OUTSIDE,
    ports: GUESSES,
  },
  'the server, as a host of the LAN, to the address on the LAN': {
    at: 'far',
    from: LAN_HOST,
    to: OUTSIDE,
    ports: GUESSES,
  },
};

/** Packets that the LAN and the far end have got from this machine. */
function answers(sandbox: Sandbox): number {
  return ['lan', 'far']
    .map(
      (at) =>
        /packets (\d+)/.exec(
          sandbox.run(['nft', 'list', 'counter', 'inet', 'seen', 'answers'], { at }).stdout,
        )?.[1],
    )
    .reduce((sum, count) => sum + Number(count), 0);
}

function forge(
  sandbox: Sandbox,
  { at, from, to, ports }: Forgery,
  kind: string,
  family: Family,
): void {
  const lines = ports.map(
    ([fromPort, toPort]) => `${kind} ${from[family]} ${fromPort} ${to[family]} ${toPort}\n`,
  );
  const { status, stderr } = sandbox.run(['perl', '-e', PROGRAM], { at, stdin: lines.join('') });
  if (status !== 0) throw new Error(stderr);
}

const pause = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * Which packets get an answer, by who forged them and family; and how many answers the fragments
 * got.
 */
async function answered(
  sandbox: Sandbox,
): Promise<{ readonly whole: readonly string[]; readonly parts: number }> {
  const whole: string[] = [];
  for (const [name, forgery] of Object.entries(FORGERIES))
    for (const family of FAMILIES)
      for (const kind of WHOLE) {
        const before = answers(sandbox);
        forge(sandbox, forgery, kind, family);
        await pause(40);
        if (answers(sandbox) > before) whole.push(`${name}: ${family} ${kind}`);
      }
  const before = answers(sandbox);
  for (const forgery of Object.values(FORGERIES))
    for (const family of FAMILIES) for (const kind of PARTS) forge(sandbox, forgery, kind, family);
  await pause(2_500);
  return { whole, parts: answers(sandbox) - before };
}

/**
 * Without rules every kind of packet is answered, but a reset, and a datagram that a program takes.
 */
const TALKATIVE = Object.entries(FORGERIES).flatMap(([name, { ports }]) =>
  FAMILIES.flatMap((family) =>
    WHOLE.filter((kind) => kind !== 'rst' && !(kind === 'udp' && ports === TUPLE)).map(
      (kind) => `${name}: ${family} ${kind}`,
    ),
  ),
);
const FIRST_PARTS = Object.keys(FORGERIES).length * FAMILIES.length;

const RECONNECTING = {
  state: 'blocked',
  base: POLICIES.connected.base,
  former: [formerOf('reconnecting', TUN0)],
} as const;

/** Answers at the far end. */
const FAR = `
require('node:net').createServer(() => {}).listen(${THEIRS}, '::', () => console.log('ready'));
for (const [type, address] of ${JSON.stringify(FAMILIES.map((family) => [family.replace('ipv', 'udp'), FAR_HOST[family]]))}) {
  const socket = require('node:dgram').createSocket(type);
  socket.on('message', (text, { port, address }) => socket.send(text, port, address)).bind(${THEIRS}, address);
}
`;

/** Holds a connection and a datagram socket of each family through the tunnel, and listens. */
const HERE = `
const net = require('node:net');
let ready = 0;
const one = () => { if (++ready === 5) console.log('ready'); };
net.createServer().listen(${LISTENS}, '::', one);
for (const [here, there, type] of ${JSON.stringify(FAMILIES.map((family) => [INSIDE[family], FAR_HOST[family], family.replace('ipv', 'udp')]))}) {
  net.connect({ host: there, port: ${THEIRS}, localAddress: here, localPort: ${OWN} }, one);
  const socket = require('node:dgram').createSocket(type);
  socket.once('message', one);
  socket.bind(${OWN}, here, () => socket.send('hello', ${THEIRS}, there));
}
`;

describe.each(KINDS)('with %s', (kind) => {
  test('nothing that is forged gets an answer, connected and while OpenVPN reconnects', async (context) => {
    const obstacle = sandboxObstacle();
    if (obstacle !== undefined) context.skip(obstacle);
    const sandbox = await openSandbox();
    try {
      const missing =
        useKind(sandbox, kind) ??
        (sandbox.run(['perl', '-e', '1']).status === 0 ? undefined : 'perl is not installed');
      if (missing !== undefined) context.skip(missing);
      const must = (script: string) => {
        const { status, stderr } = sandbox.run(['sh', '-s'], { stdin: script });
        if (status !== 0) throw new Error(stderr);
      };
      must(SCENE);
      const [host, backend] = [sandboxHost(sandbox), backendOf(kind)];
      const { policies } = look(host, backend);
      apply(host, backend, compile(POLICIES.connected));
      await startService(sandbox, 'far', [process.execPath, '-e', FAR], { at: 'far' }).says(
        'ready',
      );
      await startService(sandbox, 'here', [process.execPath, '-e', HERE]).says('ready');
      must(COUNT);
      expect(await answered(sandbox)).toEqual({ whole: [], parts: 0 });
      apply(host, backend, compile(RECONNECTING));
      expect(await answered(sandbox)).toEqual({ whole: [], parts: 0 });
      removeRules(host, backend, policies);
      const { whole, parts } = await answered(sandbox);
      expect(whole).toEqual(TALKATIVE);
      expect(parts).toBeGreaterThanOrEqual(FIRST_PARTS);
    } finally {
      sandbox.close();
    }
  });
});
