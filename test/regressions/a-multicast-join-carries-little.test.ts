import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { apply } from '../../src/transaction/apply.ts';
import { backendOf, KINDS } from '../support/kinds.ts';
import { inSandbox } from '../support/machine.ts';
import { POLICIES } from '../support/policies.ts';
import { sandboxHost } from '../support/sandbox-host.ts';

/**
 * A program without rights joins multicast groups whose addresses are what it has to say: the
 * kernel reports them by MLD on the uplink. With the LAN off more than a thousand bytes a second
 * left so.
 */

const SCENE = `
set -e
ip netns add lan
ip link add eth0 type veth peer name eth0p netns lan
ip addr add 192.168.77.2/24 dev eth0; ip -6 addr add fd77::2/64 dev eth0 nodad; ip link set eth0 up
ip -n lan addr add 192.168.77.1/24 dev eth0p; ip -n lan link set eth0p up
ip route add default via 192.168.77.1 dev eth0
sleep 3
nsenter --net=/run/netns/lan nft -f - <<'END'
table inet seen {
  counter mld {}
  counter other {}
  chain pre { type filter hook prerouting priority -300; policy drop; icmpv6 type { 131, 132, 143 } counter name mld; ip protocol igmp counter name other; }
}
END
`;

const SECONDS = 4;

/**
 * How many IPv6 groups are joined at once, how long they stay, and how soon the next are, in
 * milliseconds.
 */
type Pace = readonly [groups: number, stay: number, next: number];
const [FLOOD, PACED, ONCE]: readonly [Pace, Pace, Pace] = [
  [60, 60, 20],
  [4, 1_000, 1_100],
  [1, SECONDS * 1_000, SECONDS * 1_000],
];

/** Joins and leaves: 112 bits of each IPv6 group are free, 28 of each IPv4 group. */
const JOIN = ([groups, stay, next]: Pace) => `
const dgram = require('node:dgram');
const hex = () => Math.floor(Math.random() * 65536).toString(16);
const byte = () => Math.floor(Math.random() * 256);
const end = Date.now() + ${SECONDS * 1000};
(function round() {
  if (Date.now() > end) process.exit();
  const six = dgram.createSocket('udp6');
  const four = dgram.createSocket('udp4');
  six.on('error', () => {}); four.on('error', () => {});
  six.bind(0, () => { for (let i = 0; i < ${groups}; i++) try { six.addMembership('ff0e:' + Array.from({ length: 7 }, hex).join(':'), '::%eth0'); } catch {} });
  four.bind(0, () => { for (let i = 0; i < 20; i++) try { four.addMembership([239, byte(), byte(), byte()].join('.'), '192.168.77.2'); } catch {} });
  setTimeout(() => { six.close(); four.close(); }, ${stay});
  setTimeout(round, ${next});
})();
`;

/** Five reports at once and one in ten seconds, of eight groups each. */
const MOST = 6 * 8 * 14;

interface Carried {
  readonly ipv6: number;
  readonly ipv4: number;
}

/**
 * The bytes that a user without rights gets out: the free bits of every group that the LAN hears
 * of.
 */
function carried(sandbox: Sandbox, pace: Pace): Carried {
  const counters = () =>
    ['mld', 'other'].map((name) => {
      const { stdout } = sandbox.run(['nft', 'list', 'counter', 'inet', 'seen', name], {
        at: 'lan',
      });
      const [, packets, bytes] = /packets (\d+) bytes (\d+)/.exec(stdout) ?? [];
      return { packets: Number(packets), bytes: Number(bytes) };
    });
  const before = counters();
  sandbox.run([
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    process.execPath,
    '-e',
    JOIN(pace),
  ]);
  const [mld, igmp] = counters().map(({ packets, bytes }, index) => ({
    packets: packets - (before[index]?.packets ?? 0),
    bytes: bytes - (before[index]?.bytes ?? 0),
  }));
  // Headers and the report's own come first (RFC 3810 5.2, RFC 3376 4.2); a group takes 20 bytes of
  // a report, or 8.
  const free = (each: typeof mld, head: number, record: number, share: number) =>
    each === undefined
      ? Number.NaN
      : Math.round(((each.bytes - head * each.packets) / record) * share);
  return { ipv6: free(mld, 40 + 8 + 8, 20, 14), ipv4: free(igmp, 24 + 8, 8, 3.5) };
}

describe.each(KINDS)('with %s', (kind) => {
  test('multicast joins of a user carry hardly anything while the LAN is off', async (context) => {
    await inSandbox({ context, kind, users: true }, async (sandbox) => {
      const { status, stderr } = sandbox.run(['sh', '-s'], { stdin: SCENE });
      if (status !== 0) throw new Error(stderr);
      const [host, backend] = [sandboxHost(sandbox), backendOf(kind)];
      const open = carried(sandbox, FLOOD);
      expect(open.ipv6).toBeGreaterThan(10_000);
      expect(open.ipv4).toBeGreaterThan(1_000);
      // The LAN is where it may go then.
      apply(host, backend, compile(POLICIES['blocked, endpoints of both families']));
      expect(carried(sandbox, FLOOD).ipv6).toBeGreaterThan(10_000);
      apply(host, backend, compile(POLICIES['blocked, LAN off']));
      const off = {
        once: carried(sandbox, ONCE),
        paced: carried(sandbox, PACED),
        flood: carried(sandbox, FLOOD),
      };
      process.stdout.write(`${kind}: bytes in ${SECONDS} s ${JSON.stringify({ open, off })}\n`);
      // The packets that neighbour discovery needs are heard.
      expect(off.once.ipv6).toBeGreaterThan(0);
      for (const { ipv6, ipv4 } of Object.values(off)) {
        expect(ipv6).toBeLessThanOrEqual(MOST);
        expect(ipv4).toBe(0);
      }
    });
  });
});
