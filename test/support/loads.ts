import { describe, expect, test } from 'vitest';
import { differencesOf, type Image } from '../../src/backend/image.ts';
import { decide, type Policy, tunnelsOf } from '../../src/policy/policy.ts';
import { amendment } from '../../src/ruleset/amendment.ts';
import { compile } from '../../src/ruleset/compile.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { apply, look, removeRules } from '../../src/transaction/apply.ts';
import { backendOf, type Kind } from './kinds.ts';
import { type MachinePlan, machineWith } from './machine.ts';
import { baseWith, POLICIES, type PolicyName, TUN0, tunnelOf } from './policies.ts';
import { sandboxHost } from './sandbox-host.ts';

/** The same policy before its last tunnel came. */
function withoutLast(policy: Policy): Policy {
  return decide(policy.base, tunnelsOf(policy).slice(0, -1));
}

/** Without counters, and with the order of rules only where it decides. */
function still(image: Image): unknown {
  return image
    .map(({ rules, ...chain }) => {
      const texts = rules.map(({ id, text }) => `${id}: ${text}`);
      return { ...chain, rules: chain.ordered ? texts : texts.sort() };
    })
    .sort((a, b) => (`${a.family} ${a.name}` < `${b.family} ${b.name}` ? -1 : 1));
}

/** Policies that have every kind of chain between them. */
export const A_FEW: readonly PolicyName[] = [
  'blocked, an endpoint inside the LAN, refusing with an answer',
  'connected, an offloaded tunnel, refusing with an answer',
  'connected, another tunnel reconnects',
  'connected, everything at once',
];

/** The rules, and where they load. */
export interface Loads {
  readonly policies: readonly PolicyName[];
  readonly plan?: MachinePlan;
  /** Why hooks always take the long way there. */
  readonly noShortWay?: string;
}

/** The tests of how policies load into one kind of packet filter. */
export function describeLoads(kind: Kind, { policies, plan, noShortWay }: Loads): void {
  const machine = machineWith(kind, undefined, plan);
  const backend = backendOf(kind);

  describe.each(policies)('%s', (name) => {
    const policy: Policy = POLICIES[name];
    const ruleset = compile(policy);

    test('is accepted by the check alone, which changes nothing', (context) => {
      const host = sandboxHost(machine.withUsers(context));
      const found = look(host, backend);
      const { check } = backend.replace(ruleset, found);
      expect(check.map((command) => host.run(command))).toEqual(
        check.map(() => ({ status: 0, stdout: '', stderr: '' })),
      );
      expect(check.length).toBe(kind === 'nftables' ? 1 : 2);
      expect(still(look(host, backend).image)).toEqual(still(found.image));
    });

    test('is listed by the kernel in the words that are expected', (context) => {
      const host = sandboxHost(machine.withUsers(context));
      const found = look(host, backend);
      for (const command of backend.replace(ruleset, found).commit)
        expect(host.run(command)).toEqual({ status: 0, stdout: '', stderr: '' });
      const after = look(host, backend);
      expect(differencesOf(backend.image(ruleset), after.image)).toEqual([]);
      expect(after.image.length).toBeGreaterThan(0);
      expect(apply(host, backend, ruleset)).toBe('unchanged');
    });

    if (policy.state !== 'connected') return;

    test('is the same whether its last tunnel is added or everything is replaced', (context) => {
      const host = sandboxHost(machine.withUsers(context));
      const smaller = compile(withoutLast(policy));
      apply(host, backend, smaller);
      expect(apply(host, backend, ruleset, smaller)).toBe('added');
      const added = still(look(host, backend).image);
      removeRules(host, backend, []);
      expect(apply(host, backend, ruleset)).toBe('replaced');
      expect(still(look(host, backend).image)).toEqual(added);
      expect(apply(host, backend, smaller)).toBe('replaced');
      expect(differencesOf(backend.image(smaller), look(host, backend).image)).toEqual([]);
    });

    test('is the same by the short way of the hooks, there and back, each step on the word of the one before', (context) => {
      if (noShortWay !== undefined) context.skip(noShortWay);
      const host = sandboxHost(machine.withUsers(context));
      const smaller = compile(withoutLast(policy));
      apply(host, backend, smaller);
      const step = (from: Ruleset, to: Ruleset, word: string): string => {
        const change = amendment(from, to) ?? { added: [], removed: [] };
        const outputs = backend.amend(change, word, to).map((command) => host.run(command));
        expect(outputs.map(({ status, stderr }) => `${status} ${stderr}`)).toEqual(
          outputs.map(() => '0 '),
        );
        expect(differencesOf(backend.image(to), look(host, backend).image)).toEqual([]);
        const after = backend.amended(word, to, change, outputs);
        expect(sorted(after ?? '')).toEqual(sorted(wordOf(to)));
        return after ?? '';
      };
      // In whatever order iptables is asked.
      const sorted = (word: string) =>
        backend.name === 'iptables' ? word.split('\n').sort() : word;
      const wordOf = (of: Ruleset) =>
        backend.fingerprintOf(
          backend.fingerprint.map((command) => host.run(command)),
          of,
        );
      const first = wordOf(smaller);
      const grown = step(smaller, ruleset, first);
      const back = step(ruleset, smaller, step(ruleset, ruleset, grown));
      step(smaller, ruleset, step(smaller, smaller, back));
    });
  });

  test.each([
    '0',
    'accept',
    'drop',
    'jump',
    'tun-0',
    'tun.0',
    'tun_0',
    'a',
    'input',
    'OUTPUT',
    'KILLSWITCH-OUTP',
    '123456789012345',
    'Tun0',
  ])('a device may be called %s', (device) => {
    // Each word means something to one of the tools.
    expect(tunnelOf({ device }).device).toBe(device);
  });

  test('devices whose names mean something to the tools are matched as names', (context) => {
    const host = sandboxHost(machine.withUsers(context));
    const devices = [
      '0',
      'accept',
      'drop',
      'tun.0',
      'tun_0',
      'input',
      'OUTPUT',
      'KILLSWITCH-OUTP',
      '123456789012345',
    ];
    const ruleset = compile(
      decide(
        baseWith({ KILLSWITCH_FORWARD: 'jump' }),
        devices.map((device) => ({ ...TUN0, device: tunnelOf({ device }).device })),
      ),
    );
    expect(apply(host, backend, ruleset)).toBe('replaced');
    expect(differencesOf(backend.image(ruleset), look(host, backend).image)).toEqual([]);
  });
}
