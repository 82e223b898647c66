import { expect, test } from 'vitest';
import type { RuleId } from '../../src/ruleset/ruleset.ts';
import type { Kind } from './kinds.ts';
import { machineWith } from './machine.ts';
import { addOthersRules } from './others-rules.ts';
import { installProduct, type Product, type Report } from './product.ts';
import { dumpRules, type RuleDump } from './rule-dump.ts';

/** One way to spoil the rules, and what `status` must say of it. */
interface Tampering {
  readonly name: string;
  /** Whether it belongs to the short list: what people and programs do most. */
  readonly common?: true;
  readonly script: string;
  readonly chain: string;
  readonly rule?: RuleId;
  readonly family?: 'ipv4' | 'ipv6';
  readonly what: RegExp;
}

/** The number of the first rule with this reason in a chain. */
const numberOf = (tool: string, chain: string, id: RuleId) =>
  `$(${tool} -S ${chain} | grep '^-A' | grep -n -- '--comment ${id} ' | head -n 1 | cut -d: -f1)`;

const IPTABLES: readonly Tampering[] = [
  {
    name: 'every chain is flushed (iptables -F)',
    common: true,
    script: 'iptables -F',
    family: 'ipv4',
    chain: 'KILLSWITCH-OUTPUT',
    rule: 'other-dns',
    what: /^missing/,
  },
  {
    name: 'the jump is flushed away with the rest',
    script: 'iptables -F',
    family: 'ipv4',
    chain: 'OUTPUT',
    what: /^missing: -j KILLSWITCH-OUTPUT/,
  },
  {
    name: 'only IPv6 is flushed',
    common: true,
    script: 'ip6tables -F',
    family: 'ipv6',
    chain: 'KILLSWITCH-INPUT',
    rule: 'rest',
    what: /^missing/,
  },
  {
    name: 'a policy is opened',
    common: true,
    script: 'iptables -P OUTPUT ACCEPT',
    family: 'ipv4',
    chain: 'OUTPUT',
    what: /policy is ACCEPT and should be DROP/,
  },
  {
    name: 'a policy of IPv6 is opened',
    script: 'ip6tables -P FORWARD ACCEPT',
    family: 'ipv6',
    chain: 'FORWARD',
    what: /policy is ACCEPT/,
  },
  {
    name: 'our jump is moved below a rule of somebody else',
    common: true,
    script:
      'iptables -A OUTPUT -j MINE; iptables -D OUTPUT -j KILLSWITCH-OUTPUT; iptables -A OUTPUT -j KILLSWITCH-OUTPUT',
    family: 'ipv4',
    chain: 'OUTPUT',
    what: /^not ours: -j MINE/,
  },
  {
    name: 'somebody else accepts above our jump',
    common: true,
    script: 'iptables -I OUTPUT 1 -p tcp --dport 443 -j ACCEPT',
    family: 'ipv4',
    chain: 'OUTPUT',
    what: /^not ours: -p tcp -m tcp --dport 443 -j ACCEPT/,
  },
  {
    name: 'one of our rules is deleted',
    common: true,
    script: `iptables -D KILLSWITCH-OUTPUT ${numberOf('iptables', 'KILLSWITCH-OUTPUT', 'other-dns')}`,
    family: 'ipv4',
    chain: 'KILLSWITCH-OUTPUT',
    rule: 'other-dns',
    what: /^missing/,
  },
  {
    name: 'one of our rules is deleted for IPv6',
    script: `ip6tables -D KILLSWITCH-O-tun0 ${numberOf('ip6tables', 'KILLSWITCH-O-tun0', 'tunnel-dns')}`,
    family: 'ipv6',
    chain: 'KILLSWITCH-O-tun0',
    rule: 'tunnel-dns',
    what: /^missing/,
  },
  {
    name: 'an accept is put into our chain',
    script: 'iptables -I KILLSWITCH-OUTPUT 1 -j ACCEPT',
    family: 'ipv4',
    chain: 'KILLSWITCH-OUTPUT',
    what: /^not ours: -j ACCEPT/,
  },
  {
    name: 'an accept that bears one of our comments is put into our chain',
    script: 'iptables -I KILLSWITCH-OUTPUT 1 -m comment --comment lan -j ACCEPT',
    family: 'ipv4',
    chain: 'KILLSWITCH-OUTPUT',
    rule: 'lan',
    what: /^not ours/,
  },
  {
    name: 'two of our rules change places',
    script: `n=${numberOf('iptables', 'KILLSWITCH-OUTPUT', 'rest')}; iptables -D KILLSWITCH-OUTPUT $n; iptables -I KILLSWITCH-OUTPUT 1 -m comment --comment rest -j DROP`,
    family: 'ipv4',
    chain: 'KILLSWITCH-OUTPUT',
    rule: 'loopback',
    what: /^out of order from rule 1 on/,
  },
  {
    name: 'somebody else accepts all of IPv6 above our jump',
    script: 'ip6tables -I OUTPUT 1 -j ACCEPT',
    family: 'ipv6',
    chain: 'OUTPUT',
    what: /^not ours: -j ACCEPT/,
  },
  {
    name: 'a shared chain of the tunnels is flushed',
    script: 'iptables -F KILLSWITCH-TUNNEL-ADDRESS',
    family: 'ipv4',
    chain: 'KILLSWITCH-TUNNEL-ADDRESS',
    rule: 'tunnel-address',
    what: /^missing/,
  },
  {
    name: 'the second wall is flushed',
    common: true,
    script: 'iptables -t mangle -F',
    family: 'ipv4',
    chain: 'mangle KILLSWITCH-POSTROUTING',
    rule: 'rest',
    what: /^missing/,
  },
  {
    name: 'somebody else accepts above the second wall',
    script: 'ip6tables -t mangle -I POSTROUTING -j ACCEPT',
    family: 'ipv6',
    chain: 'mangle POSTROUTING',
    what: /^not ours: -j ACCEPT/,
  },
  {
    name: 'a chain is made under our name',
    script: 'iptables -N KILLSWITCH-O-tun7',
    family: 'ipv4',
    chain: 'KILLSWITCH-O-tun7',
    what: /should not be there/,
  },
  {
    name: 'every chain is deleted, and every policy opened',
    common: true,
    script: `for tool in iptables ip6tables; do
      $tool -F; $tool -X; for chain in INPUT FORWARD OUTPUT; do $tool -P $chain ACCEPT; done
    done`,
    family: 'ipv6',
    chain: 'KILLSWITCH-FORWARD',
    what: /the chain is missing/,
  },
];

/** With iptables over nf_tables the table itself can go. */
const IPTABLES_NFT: readonly Tampering[] = [
  ...IPTABLES,
  {
    name: 'the table of IPv4 is deleted',
    common: true,
    script: 'nft delete table ip filter',
    family: 'ipv4',
    chain: 'KILLSWITCH-INPUT',
    what: /the chain is missing/,
  },
];

const handleOf = (chain: string, id: RuleId) =>
  `$(nft -a list chain inet ovpn_killswitch ${chain} | grep 'comment "${id}"' | head -n 1 | sed 's/.*# handle //')`;

const NFTABLES: readonly Tampering[] = [
  {
    name: 'the table is deleted',
    common: true,
    script: 'nft delete table inet ovpn_killswitch',
    chain: 'postrouting',
    what: /missing/,
  },
  {
    name: 'all rules of the machine are flushed (nft flush ruleset)',
    common: true,
    script: 'nft flush ruleset',
    chain: 'input',
    what: /missing/,
  },
  {
    name: 'one of our rules is deleted',
    common: true,
    script: `nft delete rule inet ovpn_killswitch postrouting handle ${handleOf('postrouting', 'other-dns')}`,
    chain: 'postrouting',
    rule: 'other-dns',
    what: /^missing/,
  },
  {
    name: 'a chain is flushed',
    script: 'nft flush chain inet ovpn_killswitch postrouting-tun0',
    chain: 'postrouting-tun0',
    rule: 'tunnel-dns',
    what: /^missing/,
  },
  {
    name: 'a policy is opened',
    common: true,
    script: "nft chain inet ovpn_killswitch postrouting '{ policy accept; }'",
    chain: 'postrouting',
    what: /policy is accept on postrouting at priority 200 and should be drop/,
  },
  {
    name: 'the table is put to sleep',
    script: "nft add table inet ovpn_killswitch '{ flags dormant; }'",
    chain: 'postrouting',
    what: /dormant/,
  },
  {
    name: 'an accept is put into our chain',
    script: 'nft insert rule inet ovpn_killswitch postrouting accept',
    chain: 'postrouting',
    what: /^not ours: accept/,
  },
  {
    name: 'an accept that bears one of our comments is put into our chain',
    script: `nft insert rule inet ovpn_killswitch postrouting counter accept comment '"lan"'`,
    chain: 'postrouting',
    rule: 'lan',
    what: /^not ours/,
  },
  {
    name: 'two of our rules change places',
    common: true,
    script: `nft delete rule inet ovpn_killswitch postrouting handle ${handleOf('postrouting', 'rest')}; nft insert rule inet ovpn_killswitch postrouting counter drop comment '"rest"'`,
    chain: 'postrouting',
    rule: 'loopback',
    what: /^out of order from rule 1 on/,
  },
  {
    name: 'IPv6 alone is let out',
    common: true,
    script: 'nft insert rule inet ovpn_killswitch postrouting meta nfproto ipv6 accept',
    chain: 'postrouting',
    what: /^not ours: meta nfproto ipv6 accept/,
  },
  {
    name: 'one of our rules for IPv6 is deleted',
    script: `nft delete rule inet ovpn_killswitch postrouting handle $(nft -a list chain inet ovpn_killswitch postrouting | grep 'icmpv6.*comment "neighbours"' | head -n 1 | sed 's/.*# handle //')`,
    chain: 'postrouting',
    rule: 'neighbours',
    what: /^missing: ip6 daddr .* icmpv6 type/,
  },
  {
    name: 'a chain is made in our table',
    common: true,
    script:
      "nft add chain inet ovpn_killswitch early '{ type filter hook output priority -10; policy accept; }'",
    chain: 'early',
    what: /should not be there/,
  },
];

/** The policies of the builtin chains of filter: others are not ours to set. */
function policyLines({ ipv4, ipv6 }: RuleDump): readonly string[] {
  return [ipv4, ipv6].flatMap((text) =>
    (text.split('*filter\n')[1] ?? '')
      .replace(/^COMMIT[\s\S]*/m, '')
      .split('\n')
      .filter((line) => /^:(INPUT|FORWARD|OUTPUT) /.test(line))
      .sort(),
  );
}

function tamperingsOf(kind: Kind): readonly Tampering[] {
  switch (kind) {
    case 'nftables':
      return NFTABLES;
    case 'iptables-nft':
      return IPTABLES_NFT;
    case 'iptables-legacy':
      return IPTABLES;
    default:
      return kind satisfies never;
  }
}

/** A difference as the picture of `status` says it. */
function differsLine({ family, chain, rule, what }: Report['differences'][number]): string {
  return `  differs   ${family === null ? '' : `${family} `}${chain}${rule === null ? '' : ` (${rule})`}: ${what}`;
}

/** How many differences the picture says one by one. */
const SHOWN = 20;

/**
 * The tests of what `status` says to spoilt rules, and that `lock` repairs them: the common ways to
 * spoil them, or all others.
 */
export function describeTampering(kind: Kind, which: 'common' | 'others'): void {
  let product: Product | undefined;
  /** Whether the last test left the rules as they should be. */
  let clean = false;
  let policies: readonly string[] = [];
  const machine = machineWith(kind, (sandbox) => {
    product = installProduct(sandbox);
    product.set({
      KILLSWITCH_BACKEND: kind === 'nftables' ? 'nftables' : 'iptables',
      KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp,[2001:db8:10::10]:1194/udp',
    });
    addOthersRules(sandbox);
    policies = policyLines(dumpRules(sandbox));
    product.succeed('lock', '--force');
    const { status, stderr } = product.hook('up');
    if (status !== 0) throw new Error(stderr);
  });

  test.for(tamperingsOf(kind).filter(({ common = false }) => common === (which === 'common')))(
    'when $name: status says where, to programs and people, and lock repairs it',
    (tampering, context) => {
      const { script, chain, family, rule, what } = tampering;
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      if (!clean) product.succeed('lock', '--force');
      clean = false;
      const spoilt = sandbox.run(['sh', '-s'], { stdin: `set -e\n${script}\n` });
      expect({ status: spoilt.status, stderr: spoilt.stderr }).toEqual({ status: 0, stderr: '' });

      const { exit, exact, differences } = product.report();
      expect({ exit, exact }).toEqual({ exit: 2, exact: false });
      const here = differences.filter(
        (each) => each.chain === chain && each.family === (family ?? null),
      );
      expect(
        here.filter((each) => what.test(each.what) && (rule === undefined || each.rule === rule)),
      ).not.toEqual([]);

      const picture = product.run('status');
      expect(picture.status).toBe(2);
      const lines = picture.stdout.split('\n');
      expect(lines[0]).toMatch(
        /^(LOCKED, BUT NOT AS IT SHOULD BE|OPEN: this machine was locked, but no rule is loaded)$/,
      );
      const more =
        differences.length > SHOWN ? [`  differs   and ${differences.length - SHOWN} more`] : [];
      expect(lines.filter((line) => line.startsWith('  differs'))).toEqual([
        ...differences.slice(0, SHOWN).map(differsLine),
        ...more,
      ]);
      expect(lines).toContain('  "ovpn-killswitch lock" fixes it.');

      product.succeed('lock', '--force');
      expect(product.run('status')).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/^LOCKED: connected\n/),
      });
      clean = true;
    },
  );

  if (kind === 'nftables' && which === 'common')
    test('an accept above ours in a table of somebody else decides nothing, and status says that all is as it should be', (context) => {
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      product.succeed('lock', '--force');
      const table =
        'table inet early { chain output { type filter hook output priority -300; policy accept; accept; }; }';
      expect(sandbox.run(['nft', '-f', '-'], { stdin: table }).status).toBe(0);
      expect(product.report()).toMatchObject({ exit: 0, exact: true, differences: [] });
      sandbox.run(['nft', 'delete', 'table', 'inet', 'early']);
    });

  test('unlock after all this restores the chain policies from before the first lock', (context) => {
    const sandbox = machine.sandbox(context);
    if (product === undefined) throw new Error('not installed');
    product.succeed('unlock');
    const dump = dumpRules(sandbox);
    // "nft flush ruleset" took what iptables-nft held too, and gave its policies up with it.
    if (kind !== 'nftables') expect(policyLines(dump)).toEqual(policies);
    expect(`${dump.ipv4}${dump.ipv6}${dump.nft}`).not.toMatch(/KILLSWITCH|ovpn_killswitch/);
  });
}
