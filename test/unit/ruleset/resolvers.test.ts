import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/net/address.ts';
import { decide } from '../../../src/policy/policy.ts';
import type { SettingsKey } from '../../../src/policy/settings.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import { evaluate } from '../../../src/ruleset/evaluate.ts';
import { baseWith, tunnelOf } from '../../support/policies.ts';

const ISP = '203.0.113.53';
const ROUTER = '192.168.77.1';
const OWN = '10.8.0.1';
const OTHER = '10.9.0.1';

/** Two live tunnels; the server of the first pushes these resolvers. */
function ruleset(pushed: readonly string[], settings: Partial<Record<SettingsKey, string>> = {}) {
  return compile(
    decide(baseWith(settings), [
      tunnelOf({ device: 'tun0', addresses: ['10.8.0.6'], resolvers: pushed }),
      tunnelOf({ device: 'tun1', addresses: ['10.9.0.6'], resolvers: [OTHER] }),
    ]),
  );
}

function verdict(
  rules: ReturnType<typeof ruleset>,
  to: string,
  toPort: number,
  transport: 'tcp' | 'udp',
  out: string,
): string {
  const [from, far] = [parseAddress('10.8.0.6'), parseAddress(to)];
  if (from === undefined || far === undefined) throw new Error('these parse');
  const payload = { transport, fromPort: 40_000, toPort };
  return evaluate(rules, {
    hook: 'output',
    in: undefined,
    out,
    from,
    to: far,
    payload,
    conntrack: 'new',
    uid: 1000,
    mark: 0,
  }).verdict;
}

const DNS = [53, 853].flatMap((port) =>
  (['tcp', 'udp'] as const).map((transport) => [port, transport] as const),
);

describe.each(DNS)('on port %i/%s', (port, transport) => {
  test('a tunnel’s resolvers are asked through it, and through nothing else', () => {
    const rules = ruleset([OWN]);
    const through = (device: string) =>
      [OWN, OTHER].map((resolver) => verdict(rules, resolver, port, transport, device));
    expect([through('tun0'), through('tun1'), through('eth0')]).toEqual([
      ['accept', 'drop'],
      ['drop', 'accept'],
      ['drop', 'drop'],
    ]);
  });

  test.each([
    ['on the LAN', ROUTER],
    ['of the provider', ISP],
  ])('a pushed resolver %s opens nothing off its tunnel', (_, resolver) => {
    const rules = ruleset([resolver]);
    expect(
      ['tun0', 'tun1', 'eth0', 'wlan0'].map((device) =>
        verdict(rules, resolver, port, transport, device),
      ),
    ).toEqual(['accept', 'drop', 'drop', 'drop']);
  });

  test('nobody is asked through a tunnel for which no resolver was pushed', () => {
    const rules = ruleset([]);
    for (const resolver of [OWN, OTHER, ISP, ROUTER])
      expect(verdict(rules, resolver, port, transport, 'tun0')).toBe('drop');
  });

  test('KILLSWITCH_DNS takes the place of what was pushed', () => {
    const rules = ruleset([OWN], { KILLSWITCH_DNS: '9.9.9.9' });
    expect(
      [OWN, '9.9.9.9'].map((resolver) => verdict(rules, resolver, port, transport, 'tun0')),
    ).toEqual(['drop', 'accept']);
    expect(verdict(rules, '9.9.9.9', port, transport, 'eth0')).toBe('drop');
  });
});
