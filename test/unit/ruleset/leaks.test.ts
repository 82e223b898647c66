import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Base } from '../../../src/policy/policy.ts';
import { decide, type Policy } from '../../../src/policy/policy.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import { evaluate } from '../../../src/ruleset/evaluate.ts';
import type { Packet } from '../../../src/ruleset/packet.ts';
import type { Ruleset } from '../../../src/ruleset/ruleset.ts';
import type { Tunnel } from '../../../src/tunnel/tunnel.ts';
import { anyBase, anyPolicy, anyTunnels } from '../../support/arbitraries.ts';
import { LEAK_INVARIANTS } from '../../support/leak-invariants.ts';
import { describePacket, packetClasses } from '../../support/packets.ts';
import { POLICIES, POLICY_NAMES } from '../../support/policies.ts';
import { goesTo, isOwners } from '../../support/specification.ts';
import { VERDICT_NUMBERS, verdictTable } from '../../support/verdicts.ts';

const PACKETS: readonly Packet[] = [...packetClasses()].map(({ packet }) => packet);
const TABLE = verdictTable(PACKETS);
const sample = (step: number, offset: number): readonly Packet[] =>
  PACKETS.filter((_, index) => index % step === offset);
const accepts = (ruleset: Ruleset, packet: Packet) =>
  evaluate(ruleset, packet).verdict === 'accept';

/** The first accepted packets that break an invariant, in words. */
function leaks(policy: Policy, ruleset: Ruleset, accepted: readonly Packet[]): readonly string[] {
  return accepted.flatMap((packet) =>
    LEAK_INVARIANTS.filter(({ broken }) =>
      broken(policy, packet, () => accepts(ruleset, { ...packet, conntrack: 'new' })),
    ).map(({ name }) => `${describePacket(packet)}: ${name}`),
  );
}

describe('what leaks nowhere', () => {
  test.each(POLICY_NAMES)('over the full product of packets: %s', (name) => {
    const policy = POLICIES[name];
    const ruleset = compile(policy);
    const verdicts = TABLE.verdicts(ruleset);
    // A packet of this machine to itself leaks nowhere.
    const accepted = PACKETS.filter(
      (packet, index) =>
        verdicts[index] === VERDICT_NUMBERS.accept && packet.in !== 'lo' && packet.out !== 'lo',
    );
    expect(accepted.length).toBeGreaterThan(0);
    expect(leaks(policy, ruleset, accepted).slice(0, 10)).toEqual([]);
  });

  test('over samples of it under hundreds of random policies', () => {
    fc.assert(
      fc.property(anyPolicy, fc.nat(148), (policy, offset) => {
        const ruleset = compile(policy);
        const accepted = sample(149, offset).filter(
          (packet) => packet.in !== 'lo' && packet.out !== 'lo' && accepts(ruleset, packet),
        );
        expect(leaks(policy, ruleset, accepted)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the reason of a packet that leaves off the tunnel', () => {
  const REASONS = [
    'loopback',
    'endpoint',
    'dhcp',
    'neighbours',
    'ssh-session',
    'portal',
    'lan',
    'lan-dns',
    'lan-inbound',
  ];

  test('is one of a few', () => {
    fc.assert(
      fc.property(
        fc.oneof(anyPolicy, fc.constantFrom(...Object.values(POLICIES))),
        fc.nat(148),
        (policy, offset) => {
          const ruleset = compile(policy);
          const devices =
            policy.state === 'connected' ? policy.tunnels.map(({ device }): string => device) : [];
          for (const packet of sample(149, offset)) {
            if (packet.hook !== 'output' || devices.includes(packet.out ?? '')) continue;
            const { verdict, rule } = evaluate(ruleset, packet);
            if (verdict === 'accept') expect(REASONS).toContain(rule?.id);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** The packets that pass under `stricter` and not under `wider`. */
function wrongly(stricter: Policy, wider: Policy, packets: readonly Packet[]): readonly Packet[] {
  const [less, more] = [compile(stricter), compile(wider)];
  return packets.filter((packet) => accepts(less, packet) && !accepts(more, packet));
}

describe('an allowance turned off', () => {
  const OFF: Readonly<Record<string, (base: Base) => Base>> = {
    'owners of endpoints': (base) => ({ ...base, owners: [] }),
    'the LAN': (base) => ({ ...base, lan: [], lanInbound: [] }),
    'ports open to the LAN': (base) => ({ ...base, lanInbound: [] }),
    'resolvers on the LAN': (base) => ({ ...base, lanDns: [] }),
    'ports through the tunnel': (base) => ({
      ...base,
      tunnelPorts: base.tunnelPorts?.slice(0, 1) ?? [],
    }),
    'ports open to the tunnel': (base) => ({ ...base, tunnelInbound: [] }),
    IPv6: (base) => ({
      ...base,
      ipv6: 'block',
      endpoints: base.endpoints.filter(({ address }) => address.family === 'ipv4'),
    }),
    forwarding: (base) => ({ ...base, forward: [] }),
    'resolvers of the tunnel': (base) => ({ ...base, dns: [] }),
  };

  test.each(Object.keys(OFF))(
    'lets nothing more pass: %s',
    (name) => {
      fc.assert(
        fc.property(anyBase, anyTunnels, fc.nat(148), (base, tunnels, offset) => {
          const off = OFF[name]?.(base) ?? base;
          expect(
            wrongly(decide(off, tunnels), decide(base, tunnels), sample(149, offset)).map(
              describePacket,
            ),
          ).toEqual([]);
        }),
        { numRuns: 25 },
      );
    },
    60_000,
  );

  test('lets nothing more pass but what goes to that very place: an endpoint, which the LAN may then hold as any other host', () => {
    fc.assert(
      fc.property(anyBase, anyTunnels, fc.nat(148), (base, tunnels, offset) => {
        const wrong = wrongly(
          decide({ ...base, endpoints: [] }, tunnels),
          decide(base, tunnels),
          sample(149, offset),
        );
        expect(
          wrong.filter((packet) => !goesTo(base.endpoints, packet)).map(describePacket),
        ).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});

describe('a tunnel that comes up', () => {
  test('opens nothing beside itself but its endpoints, to the client alone', () => {
    fc.assert(
      fc.property(anyBase, anyTunnels, fc.nat(148), (base, tunnels, offset) => {
        const connected = decide(base, tunnels);
        const devices = tunnels.map(({ device }): string => device);
        const beside = sample(149, offset).filter(
          (packet) => !devices.includes(packet.out ?? '') && !devices.includes(packet.in ?? ''),
        );
        const opened = wrongly(connected, decide(base, []), beside);
        const toEndpoint = (packet: Packet) =>
          tunnels.some(
            ({ endpoints, offloaded }) =>
              goesTo(endpoints, packet) &&
              (isOwners(connected, packet) || (offloaded === true && packet.hook === 'output')),
          );
        expect(opened.filter((packet) => !toEndpoint(packet)).map(describePacket)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  test('closes no other tunnel, but for its own address and its own networks', () => {
    const others = (tunnel: Tunnel): Tunnel => ({
      ...tunnel,
      addresses: [],
      networks: [],
      endpoints: [],
    });
    fc.assert(
      fc.property(anyBase, anyTunnels, fc.nat(148), (base, tunnels, offset) => {
        const [first, second] = tunnels;
        if (first === undefined || second === undefined) return;
        const packets = sample(149, offset).filter(
          (packet) => packet.out !== second.device && packet.in !== second.device,
        );
        expect(
          wrongly(decide(base, [first]), decide(base, [first, others(second)]), packets).map(
            describePacket,
          ),
        ).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});
