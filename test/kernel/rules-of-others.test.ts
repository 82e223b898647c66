import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { KINDS } from '../support/kinds.ts';
import { machineWith } from '../support/machine.ts';
import { OPENVPN_ENVIRONMENT } from '../support/openvpn-environment.ts';
import { addOthersRules } from '../support/others-rules.ts';
import { installProduct, type Product } from '../support/product.ts';
import { dumpRules, othersOf } from '../support/rule-dump.ts';

const ENDPOINTS = '203.0.113.10:1194/udp,[2001:db8:10::10]:1194/udp';
const SECOND = {
  ...OPENVPN_ENVIRONMENT,
  dev: 'tun1',
  ifconfig_local: '10.9.0.6',
  ifconfig_ipv6_local: 'fd00:9::6',
  trusted_port: '443',
};

/** The steps of a machine while it is locked. */
const LIFE: readonly (readonly [
  step: string,
  run: (product: Product) => { readonly status: number | null; readonly stderr: string },
])[] = [
  ['lock', (product) => product.run('lock', '--force')],
  ['up', (product) => product.hook('up')],
  ['route-up', (product) => product.hook('route-up')],
  ['up of a second tunnel', (product) => product.hook('up', SECOND)],
  ['lock again', (product) => product.run('lock', '--force')],
  ['down', (product) => product.hook('down')],
  ['down of the second tunnel', (product) => product.hook('down', SECOND)],
];

describe.each(KINDS)('%s', (kind) => {
  const setting = kind === 'nftables' ? 'nftables' : 'iptables';

  describe('beside rules of others', () => {
    let product: Product | undefined;
    const machine = machineWith(kind, (sandbox) => {
      addOthersRules(sandbox);
      product = installProduct(sandbox);
      product.set({ KILLSWITCH_BACKEND: setting, KILLSWITCH_ENDPOINTS: ENDPOINTS });
    });

    test('nothing of theirs changes through lock, up, down and unlock, and afterwards every rule and policy is as it was', (context) => {
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      const before = dumpRules(sandbox);
      expect(before.ipv6).toContain(':INPUT DROP');
      expect(before.ipv4).toContain('-A OUTPUT -j MINE');
      for (const [step, run] of LIFE) {
        const { status, stderr } = run(product);
        expect({ step, status, stderr: status === 0 ? '' : stderr }).toEqual({
          step,
          status: 0,
          stderr: '',
        });
        const now = dumpRules(sandbox);
        expect(JSON.stringify(now)).toContain(
          kind === 'nftables' ? 'ovpn_killswitch' : 'KILLSWITCH-OUTPUT',
        );
        expect({ step, ...othersOf(now) }).toEqual({ step, ...othersOf(before) });
        expect({ step, status: product.run('status').status }).toEqual({ step, status: 0 });
      }
      product.succeed('unlock');
      expect(dumpRules(sandbox)).toEqual(before);
      expect(product.run('status').status).toBe(1);
    });

    test('what others change while it is locked stays after unlock', (context) => {
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      product.succeed('lock', '--force');
      const change = (tool: string) =>
        sandbox.run([tool, '-A', 'MINE', '-p', 'udp', '--dport', '99', '-j', 'ACCEPT']).status;
      expect([change('iptables'), change('ip6tables')]).toEqual([0, 0]);
      expect(product.run('status').status).toBe(0);
      const locked = othersOf(dumpRules(sandbox));
      product.succeed('unlock');
      const after = dumpRules(sandbox);
      expect(othersOf(after)).toEqual(locked);
      expect(after.ipv4).toContain('-A MINE -p udp -m udp --dport 99 -j ACCEPT');
      expect(after.ipv4).toContain(':FORWARD DROP');
    });
  });

  describe('on a machine without any rule', () => {
    let product: Product | undefined;
    const machine = machineWith(kind, (sandbox) => {
      product = installProduct(sandbox);
      product.set({ KILLSWITCH_BACKEND: setting, KILLSWITCH_ENDPOINTS: ENDPOINTS });
    });
    const filterTables = (sandbox: Sandbox) => {
      // The legacy tables are in a kernel from the first look at them on, and stay: a look is no
      // rule.
      for (const tool of ['iptables-save', 'ip6tables-save']) sandbox.run([tool, '-t', 'filter']);
    };

    test('none is left after unlock', (context) => {
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      if (kind === 'iptables-legacy') filterTables(sandbox);
      const before = dumpRules(sandbox);
      expect(before.nft).toBe('');
      for (const [, run] of LIFE) expect(run(product).status).toBe(0);
      product.succeed('unlock');
      expect(dumpRules(sandbox)).toEqual(before);
    });

    test('rules that others made while it was locked stay after unlock, with the chains they stand in', (context) => {
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      product.succeed('lock', '--force');
      expect(
        sandbox.run(['iptables', '-A', 'FORWARD', '-p', 'tcp', '--dport', '7', '-j', 'DROP'])
          .status,
      ).toBe(0);
      expect(sandbox.run(['ip6tables', '-N', 'THEIRS']).status).toBe(0);
      product.succeed('unlock');
      const { ipv4, ipv6 } = dumpRules(sandbox);
      expect(ipv4.split('\n').filter((line) => line.startsWith('-A'))).toEqual([
        '-A FORWARD -p tcp -m tcp --dport 7 -j DROP',
      ]);
      expect(ipv6).toContain(':THEIRS -');
      expect(`${ipv4}${ipv6}`).not.toContain('KILLSWITCH');
    });
  });
});
