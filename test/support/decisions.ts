import { expect, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { FAMILIES, type Family } from '../../src/net/address.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { evaluate } from '../../src/ruleset/evaluate.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import { answersEarly, type Ruleset } from '../../src/ruleset/ruleset.ts';
import { apply, look } from '../../src/transaction/apply.ts';
import { type Counters, countersOf, expectedGrowth, growth } from './counters.ts';
import { backendOf, type Kind } from './kinds.ts';
import { buildLan, type Lan, LINKS, type SentProbe } from './lan.ts';
import { machineWith } from './machine.ts';
import { address, PLACES, type Place } from './places.ts';
import { POLICIES, type PolicyName } from './policies.ts';
import { forwardProbes, inputProbes, outputProbes, type Probe } from './probes.ts';
import { sandboxHost } from './sandbox-host.ts';

/** Policies that differ in what they let through; the others differ in how they write the same. */
const JUDGED: readonly PolicyName[] = [
  'blocked, endpoints of both families',
  'blocked, LAN off',
  'blocked, LAN a list with services, ports open to it',
  'blocked, ports open to the LAN',
  'blocked, resolvers on the LAN',
  'blocked, endpoints for root',
  'blocked, endpoints for a mark',
  'blocked, endpoints for anybody',
  'blocked, an endpoint inside the LAN, refusing with an answer',
  'blocked, no IPv6',
  'portal, LAN off',
  'portal, an endpoint in its network',
  'connected, tunnel without IPv6',
  'connected, two tunnels',
  'connected, tunnel inside the LAN',
  'connected, the LAN routed into the tunnel',
  'connected, some ports through the tunnel, others open to it',
  'connected, forwarding',
  'connected, forwarding by a pattern',
  'connected, forwarding some ports',
  'connected, logging drops',
  'connected, everything at once',
];

/** Batches of packets that the kernel and the evaluation judge, each read on its own. */
const BATCHES: Readonly<Record<string, () => readonly Probe[]>> = {
  'root out by eth0': () => [...outputProbes('eth0', 'root')],
  'a user out by eth0': () => [...outputProbes('eth0', 'nobody')],
  'a marked user out by eth0': () => [...outputProbes('eth0', 'marked')],
  'a user out by tun0': () => [...outputProbes('tun0', 'nobody')],
  'root out by tun1': () => [...outputProbes('tun1', 'root')],
  'in by eth0': () => [...inputProbes('eth0')],
  'in by tun0': () => [...inputProbes('tun0')],
  'in by tun1': () => [...inputProbes('tun1')],
  'through to eth0': () => [...forwardProbes('eth0')],
  'through to tun0': () => [...forwardProbes('tun0')],
};

/**
 * A refusal's own answer comes back over loopback: those packets are the kernel's, not the probes'.
 */
function withoutAnswers(counters: Counters): Counters {
  return Object.fromEntries(
    Object.entries(counters).filter(([key]) => !key.endsWith(': loopback')),
  );
}

/**
 * The kernel hands to this host too what is sent to all hosts of a link: the copy leaves by the
 * same hook (ip_mc_output before the packet itself, ip6_finish_output2 after it has passed) and
 * then comes in.
 */
function withCopies(
  ruleset: Ruleset,
  packets: readonly Packet[],
  early: boolean,
): readonly Packet[] {
  const passes = (packet: Packet, hook: Packet['hook']) =>
    evaluate(ruleset, { ...packet, hook }).verdict === 'accept';
  return packets.flatMap((packet) => {
    const toAll = [PLACES.broadcast.ipv4.text, PLACES.broadcast.ipv6.text].includes(packet.to.text);
    if (packet.hook !== 'output' || !toAll || (early && !passes(packet, 'output'))) return [packet];
    // A copy belongs to no socket.
    const copy = { ...packet, hook: 'postrouting' as const, uid: undefined };
    if (packet.to.family === 'ipv6' && !passes(packet, 'postrouting')) return [packet];
    const arrives = passes(copy, 'postrouting');
    return [
      packet,
      copy,
      ...(arrives ? [{ ...copy, hook: 'input' as const, in: packet.out, out: undefined }] : []),
    ];
  });
}

/**
 * The tests that compare a kernel's counters with the pure evaluation, for one kind of packet
 * filter.
 */
export function describeDecisions(kind: Kind): void {
  const lans = new WeakMap<Sandbox, Lan>();
  const machine = machineWith(kind, async (sandbox) => {
    lans.set(sandbox, await buildLan(sandbox));
  });
  const backend = backendOf(kind);
  const lanOf = (sandbox: Sandbox): Lan => {
    const lan = lans.get(sandbox);
    if (lan === undefined) throw new Error('the sandbox has no LAN');
    return lan;
  };

  /** Sends every batch, and compares what the counters say with what the evaluation does. */
  async function compareAll(sandbox: Sandbox, ruleset: Ruleset, above = false): Promise<void> {
    const lan = lanOf(sandbox);
    const host = sandboxHost(sandbox);
    const found: Record<string, Counters> = {};
    const wanted: Record<string, Counters> = {};
    let count = 0;
    let before = countersOf(look(host, backend));
    for (const [batch, probes] of Object.entries(BATCHES)) {
      // ping(8) may send again when its packet is refused with an ICMP error.
      const all = probes().filter(
        ({ packet }) =>
          !('icmp' in packet.payload) || evaluate(ruleset, packet).verdict !== 'reject',
      );
      await lan.send(
        all[0]?.sender ?? 'root',
        all.map(({ sent }) => sent),
      );
      const packets = withCopies(
        ruleset,
        all.map(({ packet }) => packet),
        !above && (backend.name === 'iptables' || answersEarly(ruleset)),
      );
      const after = countersOf(look(host, backend));
      found[batch] = withoutAnswers(growth(before, after));
      wanted[batch] = withoutAnswers(expectedGrowth(ruleset, backend.name, packets, above));
      count += all.length;
      before = after;
    }
    expect(found).toEqual(wanted);
    expect(count).toBeGreaterThan(1000);
  }

  test.for(JUDGED)('the kernel decides as the evaluation does: %s', async (name, context) => {
    const sandbox = machine.withUsers(context);
    const ruleset = compile(POLICIES[name]);
    apply(sandboxHost(sandbox), backend, ruleset);
    await compareAll(sandbox, ruleset);
  });

  if (backend.name === 'iptables')
    test.for(['blocked, LAN off', 'connected, everything at once'] as const)(
      'what somebody else accepts above our rules is judged by the second wall, in the same words: %s',
      async (name, context) => {
        const sandbox = machine.withUsers(context);
        const ruleset = compile(POLICIES[name]);
        apply(sandboxHost(sandbox), backend, ruleset);
        const accept = (how: string) => {
          const script = ['iptables', 'ip6tables'].flatMap((tool) =>
            ['INPUT', 'FORWARD', 'OUTPUT'].map((chain) => `${tool} ${how} ${chain} -j ACCEPT`),
          );
          expect(sandbox.run(['sh', '-euc', script.join('\n')]).status).toBe(0);
        };
        accept('-I');
        await compareAll(sandbox, ruleset, true);
        accept('-D');
      },
    );

  test('this machine talks to itself, both ways, and the counters say so', (context) => {
    const sandbox = machine.withUsers(context);
    const host = sandboxHost(sandbox);
    apply(host, backend, compile(POLICIES['blocked, LAN off']));
    const before = countersOf(look(host, backend));
    for (const target of ['127.0.0.1', '::1'])
      expect(sandbox.run(['ping', '-n', '-c', '1', '-W', '2', target]).status).toBe(0);
    const seen = growth(before, countersOf(look(host, backend)));
    const chains =
      backend.name === 'iptables'
        ? [
            'KILLSWITCH-INPUT',
            'KILLSWITCH-OUTPUT',
            'mangle KILLSWITCH-INPUT',
            'mangle KILLSWITCH-POSTROUTING',
          ]
        : ['input', 'postrouting'];
    // A request and an answer in each family, each seen on its way out and in.
    expect(seen).toEqual(Object.fromEntries(chains.map((each) => [`${each}: loopback`, 4])));
  });

  test("what the LAN sends to a tunnel's own address is dropped for that reason and no other (CVE-2019-14899)", async (context) => {
    const sandbox = machine.withUsers(context);
    const host = sandboxHost(sandbox);
    apply(host, backend, compile(POLICIES['connected, two tunnels']));
    const inside = PLACES['own address in the tunnel'];
    const probes = [...inputProbes('eth0'), ...inputProbes('tun1')].filter(
      ({ packet }) => packet.to.text === inside[packet.to.family].text,
    );
    expect(probes.length).toBeGreaterThan(50);
    const before = countersOf(look(host, backend));
    await lanOf(sandbox).send(
      'peer',
      probes.map(({ sent }) => sent),
    );
    const [fromLan, fromTunnel] =
      backend.name === 'iptables'
        ? ['mangle KILLSWITCH-TUNNEL-ADDRESS', 'mangle KILLSWITCH-I-tun1']
        : ['tunnel-address', 'input-tun1'];
    // Another tunnel brings packets to its own addresses alone.
    const lan = probes.filter(({ packet }) => packet.in === 'eth0').length;
    expect(growth(before, countersOf(look(host, backend)))).toEqual({
      [`${fromLan}: tunnel-address`]: lan,
      [`${fromTunnel}: rest`]: probes.length - lan,
    });
  });

  /**
   * Sends one datagram from this machine and reads the counters once there are as many packets as
   * expected, or after ten seconds.
   */
  async function exchange(
    sandbox: Sandbox,
    ruleset: Ruleset,
    sent: SentProbe,
    packets: readonly Packet[],
  ): Promise<void> {
    const host = sandboxHost(sandbox);
    const wanted = expectedGrowth(ruleset, backend.name, packets);
    const before = countersOf(look(host, backend));
    await lanOf(sandbox).send('root', [sent]);
    await expect
      .poll(() => growth(before, countersOf(look(host, backend))), {
        timeout: 10_000,
        interval: 20,
      })
      .toEqual(wanted);
  }

  /** One datagram out by a link to a port of a place, and its answer, as the rules see them. */
  function conversation(
    link: 'eth0' | 'tun0',
    family: Family,
    place: Place,
    toPort: number,
    fromPort: number,
  ) {
    const own = address(LINKS[link].own[family].text);
    const there = PLACES[place][family];
    const sent: SentProbe = {
      transport: 'udp',
      from: own.text,
      fromPort,
      to: there.text,
      toPort,
      device: link,
    };
    const question: Packet = {
      hook: 'output',
      in: undefined,
      out: link,
      from: own,
      to: there,
      payload: { transport: 'udp', fromPort, toPort },
      conntrack: 'new',
      uid: 0,
      mark: 0,
    };
    const answer: Packet = {
      ...question,
      hook: 'input',
      in: link,
      out: undefined,
      from: there,
      to: own,
      payload: { transport: 'udp', fromPort: toPort, toPort: fromPort },
      conntrack: 'established',
      uid: undefined,
    };
    return { sent, question, answer };
  }

  test.for(FAMILIES)(
    'answers come in, errors that belong to a question come in, and no old connection outlives its allowance (%s)',
    async (family, context) => {
      const sandbox = machine.withUsers(context);
      const host = sandboxHost(sandbox);
      const ports = family === 'ipv4' ? [24990, 29990, 29991] : [24995, 29995, 29996];
      const [lanPort = 0, tunnelPort = 0, closedPort = 0] = ports;
      const echo = (place: Place): SentProbe => ({
        transport: 'echo',
        from: PLACES[place][family].text,
        fromPort: 7,
        to: '',
        toPort: 0,
        device: '',
      });
      await lanOf(sandbox).send('peer', [echo('LAN host'), echo('internet')]);

      const connected = compile(POLICIES['connected, two tunnels']);
      apply(host, backend, connected);
      const onLan = conversation('eth0', family, 'LAN host', 7, lanPort);
      await exchange(sandbox, connected, onLan.sent, [onLan.question, onLan.answer]);
      const inTunnel = conversation('tun0', family, 'internet', 7, tunnelPort);
      await exchange(sandbox, connected, inTunnel.sent, [inTunnel.question, inTunnel.answer]);
      const closed = conversation('tun0', family, 'internet', 9, closedPort);
      const unreachable = family === 'ipv4' ? 3 : 1;
      await exchange(sandbox, connected, closed.sent, [
        closed.question,
        { ...closed.answer, payload: { icmp: unreachable }, conntrack: 'related' },
      ]);

      const locked = compile(POLICIES['blocked, LAN off']);
      apply(host, backend, locked);
      for (const { sent, question } of [onLan, inTunnel]) {
        const old: Packet = { ...question, conntrack: 'established' };
        expect(evaluate(locked, old)).toMatchObject({ verdict: 'drop', rule: { id: 'rest' } });
        await exchange(sandbox, locked, sent, [old]);
      }
    },
  );
}
