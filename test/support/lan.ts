import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Sandbox } from '../../src/host/sandbox.ts';
import type { Family } from '../../src/net/address.ts';
import { OWN_LAN, OWN_SECOND, type Pair, PLACES } from './places.ts';
import { CLIENT_MARK } from './policies.ts';

/**
 * A probe as the sender takes it. `device` is the interface a ping is bound to, `zone` the one an
 * IPv6 group belongs to.
 */
export interface SentProbe {
  /** `echo` sends nothing: it answers on `from` and `fromPort` from then on. */
  readonly transport: 'tcp' | 'udp' | 'icmp' | 'echo';
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  readonly device: string;
  readonly zone?: string;
}

/**
 * The links of the machine under test; each has the far end's name with a `p`, in the namespace of
 * the second column.
 */
export const LINKS = {
  eth0: { far: 'peer', own: OWN_LAN, gateway: PLACES['LAN router'], firstPort: 20000 },
  tun0: {
    far: 'peer',
    own: PLACES['own address in the tunnel'],
    gateway: PLACES['resolver in the tunnel'],
    firstPort: 25000,
  },
  tun1: {
    far: 'peer',
    own: OWN_SECOND,
    gateway: { ipv4: { text: '10.9.0.1' }, ipv6: { text: 'fd00:9::1' } },
    firstPort: 30000,
  },
  docker0: {
    far: 'guest',
    own: { ipv4: { text: '172.17.0.1' }, ipv6: { text: 'fd17::1' } },
    gateway: { ipv4: { text: '172.17.0.2' }, ipv6: { text: 'fd17::2' } },
    firstPort: 45000,
  },
} as const satisfies Record<
  string,
  { far: string; own: PairText; gateway: PairText; firstPort: number }
>;
export type Link = keyof typeof LINKS;
type PairText = Readonly<Record<Family, { readonly text: string }>>;

/** Source ports of this many probes choose one link. */
export const PORTS_OF_A_LINK = 5000;
/** Source ports of probes over eth0 that get {@link CLIENT_MARK} before our rules see them. */
export const FIRST_MARKED_PORT = 35000;

const MAC: Readonly<Record<Link, readonly [near: string, far: string]>> = {
  eth0: ['02:00:00:00:01:01', '02:00:00:00:01:02'],
  tun0: ['02:00:00:00:02:01', '02:00:00:00:02:02'],
  tun1: ['02:00:00:00:03:01', '02:00:00:00:03:02'],
  docker0: ['02:00:00:00:04:01', '02:00:00:00:04:02'],
};

/**
 * Nothing may speak by itself, or counters would count more than the probes: no duplicate
 * detection, no router search, fixed neighbours.
 */
const QUIET = `
for scope in all default; do
  cd /proc/sys/net/ipv6/conf/$scope
  echo 0 > accept_ra; echo 0 > autoconf; echo 0 > dad_transmits; echo 0 > accept_dad; echo 0 > router_solicitations; echo 1 > addr_gen_mode 2>/dev/null || :
  echo 1 > mldv1_unsolicited_report_interval; echo 1 > mldv2_unsolicited_report_interval; echo 1 > forwarding
  cd /proc/sys/net/ipv4/conf/$scope
  echo 0 > rp_filter; echo 0 > send_redirects; echo 0 > accept_redirects; echo 1 > accept_local
done
cd /
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts
ip link set lo up
`;

const REAL = Object.entries(LINKS) as readonly (readonly [Link, (typeof LINKS)[Link]])[];

function linkLines([name, { far, own, gateway }]: (typeof REAL)[number], table: number): string {
  const [near, other] = MAC[name];
  const remote = `ip -n ${far}`;
  return `
ip link add ${name} address ${near} type veth peer name ${name}p address ${other} netns ${far}
ip addr add ${own.ipv4.text}/32 dev ${name}; ip -6 addr add ${own.ipv6.text}/128 dev ${name} nodad
ip link set ${name} up; ${remote} link set ${name}p up
ip neigh add ${gateway.ipv4.text} lladdr ${other} dev ${name} nud permanent; ip -6 neigh add ${gateway.ipv6.text} lladdr ${other} dev ${name} nud permanent
${remote} neigh add ${own.ipv4.text} lladdr ${near} dev ${name}p nud permanent; ${remote} -6 neigh add ${own.ipv6.text} lladdr ${near} dev ${name}p nud permanent
for where in 'table ${table}' 'metric ${table}'; do
  ip route add default via ${gateway.ipv4.text} dev ${name} onlink src ${own.ipv4.text} $where; ip -6 route add default via ${gateway.ipv6.text} dev ${name} onlink src ${own.ipv6.text} $where
  ${remote} route add default via ${own.ipv4.text} dev ${name}p onlink $where; ${remote} -6 route add default via ${own.ipv6.text} dev ${name}p onlink $where
done
`;
}

function ruleLines(command: string, first: number, table: number): string {
  const range = `${first}-${first + PORTS_OF_A_LINK - 1}`;
  return [4, 6]
    .flatMap((version) =>
      ['udp', 'tcp'].map(
        (transport) =>
          `${command} -${version} rule add ipproto ${transport} sport ${range} lookup ${table}`,
      ),
    )
    .join('\n');
}

function setup(): string {
  const places = Object.entries(PLACES).filter(
    ([name]) => !['multicast', 'broadcast', 'own address in the tunnel'].includes(name),
  );
  const addresses = places.map(
    ([, pair]: [string, Pair]) =>
      `ip -n peer addr add ${pair.ipv4.text}/32 dev lo; ip -n peer -6 addr add ${pair.ipv6.text}/128 dev lo nodad`,
  );
  // Answers go back the way the question came; probes, whose rules stand above these, go where
  // their port says.
  const answers = REAL.flatMap(([, { far, own }], index) =>
    far === 'guest'
      ? []
      : [
          `ip -n peer rule add to ${own.ipv4.text} lookup ${101 + index}`,
          `ip -n peer -6 rule add to ${own.ipv6.text} lookup ${101 + index}`,
        ],
  );
  const rules = REAL.flatMap(([, { far, firstPort }], index) => [
    ...(far === 'guest' ? [] : [ruleLines('ip', firstPort, 101 + index)]),
    ...(far === 'guest' ? [] : [ruleLines('ip -n peer', firstPort, 101 + index)]),
  ]);
  return `set -e
${QUIET}
ip netns add peer; ip netns add guest
for space in peer guest; do nsenter --net=/run/netns/$space sh -ec '${QUIET}'; done
${REAL.map((link, index) => linkLines(link, 101 + index)).join('')}
ip -n guest addr add 172.17.0.2/32 dev docker0p; ip -n guest -6 addr add fd17::2/128 dev docker0p nodad
${addresses.join('\n')}
${answers.join('\n')}
${rules.join('\n')}
${ruleLines('ip', FIRST_MARKED_PORT, 101)}
ip -4 rule add ipproto udp sport 68 lookup 101; ip -n peer -4 rule add ipproto udp sport 67 lookup 101
ip -6 rule add ipproto udp sport 546 lookup 101; ip -n peer -6 rule add ipproto udp sport 547 lookup 101
`;
}

/**
 * The rules around ours: a mark for some source ports before them, and after them an end to
 * everything that came in, so that nothing here answers. The far ends drop what reaches them, but
 * for port 7, which echoes, and port 9, which is closed.
 */
const AROUND = `
table inet around {
  chain marking { type filter hook output priority -150; udp sport ${FIRST_MARKED_PORT}-${FIRST_MARKED_PORT + PORTS_OF_A_LINK - 1} meta mark set ${CLIENT_MARK}; }
  chain absorb { type filter hook input priority 200; iifname != "lo" meta l4proto { tcp, udp, icmp, icmpv6 } drop; }
}
`;
const FAR =
  'table inet far {\n  chain pre { type filter hook prerouting priority -300; policy drop; iifname "lo" accept; udp dport { 7, 9 } accept; }\n}\n';

/**
 * The sender: `root` and `nobody` on the machine under test, `peer` beyond its links, `guest`
 * behind docker0.
 */
export type SenderName = 'root' | 'nobody' | 'peer' | 'guest';

export interface Lan {
  /**
   * Sends a batch; resolved when every packet has gone through the filter of the sender.
   * @throws Error naming the probe that could not be sent.
   */
  send(sender: SenderName, probes: readonly SentProbe[]): Promise<void>;
}

const SENDER = fileURLToPath(new URL('sender.mjs', import.meta.url));
/** Where every user may read it, wherever this repository lies. */
const SENDER_INSIDE = '/run/senders/sender.mjs';

function must(sandbox: Sandbox, argv: readonly string[], stdin?: string, at?: string): void {
  const { status, stderr } = sandbox.run(argv, {
    ...(stdin === undefined ? {} : { stdin }),
    ...(at === undefined ? {} : { at }),
  });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
}

/** Makes a sandbox the machine under test: links, neighbours and senders. */
export async function buildLan(sandbox: Sandbox): Promise<Lan> {
  must(sandbox, ['sh', '-s'], setup());
  must(sandbox, ['nft', '-f', '-'], AROUND);
  must(sandbox, ['nft', '-f', '-'], FAR, 'peer');
  must(sandbox, ['nft', '-f', '-'], FAR, 'guest');
  // Debian 13 gives ping(8) no capability: its users may ask because of this setting.
  must(sandbox, ['sh', '-c', 'echo 0 65534 >/proc/sys/net/ipv4/ping_group_range || :']);
  must(sandbox, ['install', '-d', '-m', '777', '/run/senders']);
  must(sandbox, ['sh', '-c', `cat > ${SENDER_INSIDE}`], readFileSync(SENDER, 'utf8'));
  const started = new Map<SenderName, Promise<(line: string) => Promise<string>>>();
  const start = async (name: SenderName) => {
    const as =
      name === 'nobody'
        ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
        : [];
    const path = `/run/senders/${name}`;
    const argv = [...as, process.execPath, SENDER_INSIDE, path];
    const child = sandbox.start(argv, name === 'peer' || name === 'guest' ? { at: name } : {});
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said += String(chunk);
    });
    if (child.stdout === null) throw new Error('no pipe');
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() =>
        Promise.reject(new Error(`the sender "${name}" ended: ${said}`)),
      ),
    ]);
    const socket = connect(`/proc/${sandbox.pid}/root${path}`);
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    return async (line: string) => {
      socket.write(`${line}\n`);
      return String((await lines.next()).value);
    };
  };
  return {
    send: async (name, probes) => {
      const known = started.get(name) ?? start(name);
      started.set(name, known);
      const answer = await (await known)(JSON.stringify(probes));
      if (answer !== 'sent') throw new Error(answer);
    },
  };
}
