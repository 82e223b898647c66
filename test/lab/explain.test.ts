import { describe, expect, test } from 'vitest';
import { describedPacket, type PacketWords } from '../../src/cli/described-packet.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { evaluate } from '../../src/ruleset/evaluate.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import { apply, look } from '../../src/transaction/apply.ts';
import { countersOf, expectedGrowth, growth } from '../support/counters.ts';
import { backendOf, KINDS } from '../support/kinds.ts';
import { buildLan, type Lan } from '../support/lan.ts';
import { machineWith } from '../support/machine.ts';
import { PLACES } from '../support/places.ts';
import { POLICIES } from '../support/policies.ts';
import { forwardProbes, inputProbes, outputProbes, type Probe } from '../support/probes.ts';
import { sandboxHost } from '../support/sandbox-host.ts';

const PACKETS = 500;
const BATCH = 25;

/** Numbers from 0 to 1 that look random and can be had again (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A packet as a person would describe it to `explain`. */
function wordsOf({
  hook,
  in: from,
  out,
  from: source,
  to,
  payload,
  uid,
  mark,
}: Packet): PacketWords {
  const [direction, far] =
    hook === 'input' ? ['in', source] : [hook === 'output' ? 'out' : 'forward', to];
  const device = hook === 'input' ? from : out;
  const service =
    'transport' in payload
      ? [payload.transport, far.text, String(payload.toPort)]
      : ['icmp', far.text];
  return {
    words: [direction, ...service],
    ...(device !== undefined && { device }),
    ...(hook === 'forward' && from !== undefined && { in: from }),
    ...(hook === 'input' && { to: to.text }),
    ...(uid !== undefined && { as: String(uid) }),
    ...(mark !== 0 && { mark: `0x${mark.toString(16)}` }),
    ...('transport' in payload && { 'from-port': String(payload.fromPort) }),
  };
}

const GROUPS = [PLACES.broadcast, PLACES.multicast].flatMap(({ ipv4, ipv6 }) => [
  ipv4.text,
  ipv6.text,
  '255.255.255.255',
  'ff02::1:2',
]);

function allProbes(): readonly Probe[] {
  return [
    ...outputProbes('eth0', 'root'),
    ...outputProbes('eth0', 'nobody'),
    ...outputProbes('eth0', 'marked'),
    ...outputProbes('tun0', 'nobody'),
    ...outputProbes('tun1', 'root'),
    ...inputProbes('eth0'),
    ...inputProbes('tun0'),
    ...inputProbes('tun1'),
    ...forwardProbes('eth0'),
    ...forwardProbes('tun0'),
    // A packet sent to a group comes back to this machine as well.
  ].filter(({ packet }) => !GROUPS.includes(packet.to.text));
}

describe.each(KINDS)('%s', (kind) => {
  let lan: Lan | undefined;
  const machine = machineWith(kind, async (sandbox) => {
    lan = await buildLan(sandbox);
  });

  test(`explain and the kernel name the same rule for ${PACKETS} random packets`, async (context) => {
    const sandbox = machine.withUsers(context);
    if (!sandbox.hasOtherUsers) context.skip('this user namespace has no user besides root');
    const backend = backendOf(kind);
    // The seed stands in the message of a failure.
    const seed = Date.now() % 0x7fffffff;
    const random = randomFrom(seed);
    const host = sandboxHost(sandbox);
    const ruleset = compile(POLICIES['connected, everything at once']);
    apply(host, backend, ruleset);
    const explained = (packet: Packet) => describedPacket(wordsOf(packet), '', Number);
    const probes = allProbes()
      // ping(8) may send again when its packet is refused with an ICMP error.
      .filter(
        ({ packet }) =>
          !('icmp' in packet.payload) || evaluate(ruleset, packet).verdict !== 'reject',
      )
      .map((probe) => ({ probe, at: random() }))
      .sort((a, b) => a.at - b.at)
      .slice(0, PACKETS)
      .map(({ probe }) => probe);
    expect(probes).toHaveLength(PACKETS);
    const loopback = (key: string) => key.endsWith(': loopback');
    for (let first = 0; first < PACKETS; first += BATCH) {
      const batch = probes.slice(first, first + BATCH);
      const before = countersOf(look(host, backend));
      for (const sender of new Set(batch.map((each) => each.sender)))
        await lan?.send(
          sender,
          batch.filter((each) => each.sender === sender).map(({ sent }) => sent),
        );
      const found = growth(before, countersOf(look(host, backend)));
      // A refusal's own answer comes back over loopback: those packets are the kernel's.
      const counted = Object.fromEntries(Object.entries(found).filter(([key]) => !loopback(key)));
      const said = expectedGrowth(
        ruleset,
        backend.name,
        batch.map(({ packet }) => explained(packet)),
      );
      expect({ seed, first, counted }).toEqual({ seed, first, counted: said });
    }
  });
});
