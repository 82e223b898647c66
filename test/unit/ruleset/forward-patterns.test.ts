import { describe, expect, test } from 'vitest';
import { parseInterfaceName } from '../../../src/net/interface-name.ts';
import { decide } from '../../../src/policy/policy.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import { evaluate } from '../../../src/ruleset/evaluate.ts';
import type { Packet } from '../../../src/ruleset/packet.ts';
import { PLACES } from '../../support/places.ts';
import { baseWith, TUN0 } from '../../support/policies.ts';

const named = (name: string) => {
  const device = parseInterfaceName(name);
  if (device === undefined) throw new Error(`${name} is no name`);
  return device;
};
const base = baseWith({ KILLSWITCH_FORWARD: 'br-*' });
const through = (from: string, out: string): Packet => ({
  hook: 'forward',
  in: from,
  out,
  from: PLACES['LAN host'].ipv4,
  to: PLACES.internet.ipv4,
  payload: { transport: 'tcp', fromPort: 40000, toPort: 443 },
  conntrack: 'new',
  uid: undefined,
  mark: 0,
});

describe('a pattern of KILLSWITCH_FORWARD', () => {
  test('lets the interfaces that begin so into a live tunnel, and no others', () => {
    const ruleset = compile(decide(base, [TUN0]));
    const verdicts = ['br-0', 'br-', 'br', 'eth0'].map(
      (from) => evaluate(ruleset, through(from, TUN0.device)).verdict,
    );
    expect(verdicts).toEqual(['accept', 'accept', 'drop', 'drop']);
    expect(evaluate(ruleset, through('br-0', 'br-1')).verdict).toBe('drop');
  });

  test('stands for nothing while it means the device of a live tunnel', () => {
    const other = { ...TUN0, device: named('br-vpn'), addresses: [], networks: [] };
    const ruleset = compile(decide(base, [TUN0, other]));
    for (const [from, out] of [
      ['br-vpn', TUN0.device],
      [TUN0.device, 'br-vpn'],
      ['br-0', TUN0.device],
    ] as const)
      expect(evaluate(ruleset, through(from, out)).verdict).toBe('drop');
  });
});
