import { describe, expect, test } from 'vitest';
import { iptables } from '../../src/backend/iptables.ts';
import { TABLES, type Table } from '../../src/backend/iptables-tables.ts';
import { nftables } from '../../src/backend/nftables.ts';
import type { Command } from '../../src/host/command.ts';
import { FAMILIES, type Family } from '../../src/net/address.ts';
import { endpointText } from '../../src/net/endpoint.ts';
import { decide, type Policy } from '../../src/policy/policy.ts';
import { compile } from '../../src/ruleset/compile.ts';
import {
  answersEarly,
  type ChainName,
  isOfFinalLook,
  isOfFirstLook,
  type RuleId,
} from '../../src/ruleset/ruleset.ts';
import { readOpenvpnHook } from '../../src/tunnel/from-openvpn.ts';
import { peerEndpoints } from '../../src/tunnel/hook-event.ts';
import { OPENVPN_ENVIRONMENT } from '../support/openvpn-environment.ts';
import { baseWith, POLICIES, POLICY_NAMES, type PolicyName } from '../support/policies.ts';

const NOTHING = { image: [], policies: [], present: false };

function scriptOf({ commit }: { readonly commit: readonly Command[] }, program: string): string {
  const script = commit.find((command) => command.program === program)?.stdin;
  if (script === undefined) throw new Error(`no script for ${program}`);
  return script;
}

function nftScript(policy: Policy): string {
  return scriptOf(nftables.replace(compile(policy), NOTHING), 'nft');
}

function iptablesScript(policy: Policy, family: Family): string {
  return scriptOf(
    iptables(FAMILIES, '', true, true).replace(compile(policy), NOTHING),
    family === 'ipv6' ? 'ip6tables-restore' : 'iptables-restore',
  );
}

/**
 * The reasons of a text's rules in order, for each chain; neighbours that are equal count once, for
 * a rule may need several lines.
 */
type Reasons = Readonly<Record<string, readonly string[]>>;

function collect(rules: readonly (readonly [chain: string, id: string])[]): Reasons {
  const reasons: Record<string, string[]> = {};
  for (const [chain, id] of rules) {
    reasons[chain] ??= [];
    if (reasons[chain].at(-1) !== id) reasons[chain].push(id);
  }
  return reasons;
}

const DEVICE_CHAINS: Readonly<Record<string, string>> = {
  I: 'input',
  F: 'forward',
  O: 'output',
  P: 'postrouting',
};

/** The name in iptables brought back to the chain's own. */
function chainOf(name: string): string {
  const [, letter = '', device] = /^KILLSWITCH-([IFOP])-(.+)$/.exec(name) ?? [];
  return device === undefined
    ? name.replace('KILLSWITCH-', '').toLowerCase()
    : `${DEVICE_CHAINS[letter]}-${device}`;
}

/** One table's lines of a restore script, from its heading to its COMMIT. */
function tableOf(script: string, table: Table): string {
  const [, rest = ''] = script.split(`*${table}\n`);
  return rest.slice(0, rest.indexOf('COMMIT\n'));
}

function iptablesReasons(script: string): Reasons {
  return collect(
    [...script.matchAll(/^-A (\S+) .*--comment (\S+) /gm)].map(
      ([, chain = '', id = '']) => [chainOf(chain), id] as const,
    ),
  );
}

/** Rules of the other family are left out: IPv4 ones say `ip`, `icmp` or `nfproto ipv4`. */
function nftReasons(script: string, family: Family): Reasons {
  const other =
    family === 'ipv6'
      ? /(^|\s)(ip [sd]addr|icmp type|meta nfproto ipv4)\s/
      : /(^|\s)(ip6 [sd]addr|icmpv6 type|meta nfproto ipv6)\s/;
  const rules: [string, string][] = [];
  let chain = '';
  for (const line of script.split('\n')) {
    chain = /^ {2}chain (\S+) \{$/.exec(line)?.[1] ?? chain;
    const id = / comment "([^"]+)"$/.exec(line)?.[1];
    if (id !== undefined && !other.test(line)) rules.push([chain, id]);
  }
  return collect(rules);
}

describe.each(POLICY_NAMES)('%s', (name) => {
  const policy: Policy = POLICIES[name];

  test.each(FAMILIES)(
    'the reasons stand in the same order in both backends for %s, and in both tables of iptables',
    (family) => {
      // iptables cannot remember who asked the LAN.
      const reasons = Object.fromEntries(
        Object.entries(nftReasons(nftScript(policy), family)).map(([chain, ids]) => [
          chain,
          ids?.filter((id) => id !== 'lan-discovery'),
        ]),
      ) as Reasons;
      const only = (found: Reasons, isOther: (name: ChainName) => boolean) =>
        Object.fromEntries(Object.entries(found).filter(([name]) => !isOther(name as ChainName)));
      const [mangle, filter] = TABLES.map((table) =>
        iptablesReasons(tableOf(iptablesScript(policy, family), table)),
      );
      expect(mangle).toEqual(only(reasons, isOfFirstLook));
      if (reasons['output'] !== undefined) expect(filter).toEqual(only(reasons, isOfFinalLook));
      else expect(only(filter ?? {}, isOfFirstLook)).toEqual(only(reasons, isOfFinalLook));
      expect(reasons['postrouting']?.length).toBeGreaterThan(1);
      expect(filter?.['output']?.length).toBeGreaterThan(1);
    },
  );

  test('the reasons of a chain are those of the ruleset', () => {
    const whole = compile(policy);
    const loaded = answersEarly(whole)
      ? whole
      : whole.filter(({ name: chain }) => !isOfFirstLook(chain));
    const wanted = collect(
      loaded.flatMap((chain) =>
        chain.rules.map((rule): [ChainName, RuleId] => [chain.name, rule.id]),
      ),
    );
    const found = collect(
      [
        ...nftScript(policy).matchAll(
          /^ {2}chain (\S+) \{\n([^}]*(?:\{[^}]*\}[^}]*)*?)\n? {2}\}$/gm,
        ),
      ].flatMap(([, chain = '', body = '']) =>
        [...body.matchAll(/ comment "([^"]+)"$/gm)].map(([, id = '']): [string, string] => [
          chain,
          id,
        ]),
      ),
    );
    expect(found).toEqual(wanted);
  });

  test('every base chain of both backends drops what no rule decides', () => {
    for (const [hook, priority] of [
      ['input', 'filter'],
      ['forward', 'filter'],
      ['postrouting', '200'],
    ])
      expect(nftScript(policy)).toContain(
        `chain ${hook} {\n    type filter hook ${hook} priority ${priority}; policy drop;\n`,
      );
    for (const family of FAMILIES)
      for (const chain of ['INPUT', 'FORWARD', 'OUTPUT'])
        expect(iptablesScript(policy, family)).toContain(`:${chain} DROP [0:0]\n`);
  });

  test('a script is one transaction, in iptables one for each table: mangle first', () => {
    for (const family of FAMILIES) {
      const lines = iptablesScript(policy, family).split('\n');
      expect(lines.filter((line) => line === 'COMMIT' || line.startsWith('*'))).toEqual([
        '*mangle',
        'COMMIT',
        '*filter',
        'COMMIT',
      ]);
      expect(lines.slice(-2)).toEqual(['COMMIT', '']);
    }
    expect(nftables.replace(compile(policy), NOTHING).commit.length).toBe(1);
  });
});

/**
 * All the text that a hook called with these variables would give to the kernel; undefined when it
 * gives none.
 */
function textsFor(env: Readonly<Record<string, string>>): string | undefined {
  const event = readOpenvpnHook('up', { argv: [], env });
  if (event.kind !== 'tunnel-up') return undefined;
  const base = baseWith({});
  const ruleset = compile(
    decide(base, [{ ...event.tunnel, endpoints: peerEndpoints(event.peer, []) }]),
  );
  return [nftables, iptables()]
    .flatMap((backend) => backend.replace(ruleset, NOTHING).commit.map(({ stdin }) => stdin ?? ''))
    .join('');
}

const INJECTIONS = [
  '; accept',
  '\naccept',
  '\n-A KILLSWITCH-OUTPUT -j ACCEPT',
  '\nCOMMIT\n*nat',
  '" accept comment "',
  ' -j ACCEPT',
  '}\nflush ruleset\n',
  ' # ',
  '\\',
  '%eth0',
  '/0',
  '\u0000',
  '$(id)',
  '`id`',
  '\u2028accept',
  ', 0.0.0.0/0',
  '-255.255.255.255',
  '\r',
] as const;

describe('what a server can set', () => {
  test('the harmless environment gives rules for its facts', () => {
    const text = textsFor(OPENVPN_ENVIRONMENT) ?? '';
    for (const fact of [
      'tun0',
      '203.0.113.10',
      '10.8.0.6',
      '10.50.0.0/16',
      'fd50::/48',
      '10.8.0.1',
      'fd00:8::1',
    ])
      expect(text).toContain(fact);
  });

  describe.each(Object.keys(OPENVPN_ENVIRONMENT))('%s', (variable) => {
    test.each(INJECTIONS)('with %j after its value adds no word to a script', (injection) => {
      const { [variable]: value = '', ...others } = OPENVPN_ENVIRONMENT;
      const text = textsFor({ ...OPENVPN_ENVIRONMENT, [variable]: `${value}${injection}` });
      if (variable === 'dev') return expect(text).toBeUndefined();
      // A value that is left out is as if it was never given; only a mask or a transport changes
      // its meaning when it is missing.
      const words = new Set(`${textsFor(OPENVPN_ENVIRONMENT)}${textsFor(others)}`.split(/\s+/));
      const strange = (text ?? '').split(/\s+/).filter((word) => !words.has(word));
      expect(strange).toEqual([]);
      return expect(text?.includes('flush')).toBe(false);
    });
  });
});

test('only letters, digits and the signs of both languages ever reach a script', () => {
  for (const name of POLICY_NAMES) {
    const policy = POLICIES[name];
    const texts = [nftScript(policy), ...FAMILIES.map((family) => iptablesScript(policy, family))];
    for (const text of texts) expect(text).toMatch(/^[A-Za-z0-9 \n*:.,;/_=!"@+{}[\]-]+$/);
    for (const line of texts.join('').split('\n'))
      expect((line.match(/"/g) ?? []).length % 2, `unbalanced quotes: ${line}`).toBe(0);
  }
});

test('every endpoint of a policy stands in the script of its family and in no other', () => {
  for (const name of POLICY_NAMES) {
    const policy: Policy = POLICIES[name];
    for (const endpoint of policy.base.endpoints) {
      const line = new RegExp(
        `-d ${endpoint.address.text}/(32|128) -p ${endpoint.transport} -m ${endpoint.transport} --dport ${endpoint.port} `,
      );
      for (const family of FAMILIES)
        expect(
          line.test(iptablesScript(policy, family)),
          `${name}: ${endpointText(endpoint)} in ${family}`,
        ).toBe(family === endpoint.address.family);
    }
  }
});

const SHOWN: readonly PolicyName[] = ['blocked, LAN off', 'connected, tunnel without IPv6'];

describe.each(SHOWN)('the whole text of "%s"', (name) => {
  test('in nftables', () => expect(nftScript(POLICIES[name])).toMatchSnapshot());
  test.each(FAMILIES)('in iptables for %s', (family) =>
    expect(iptablesScript(POLICIES[name], family)).toMatchSnapshot(),
  );
});
