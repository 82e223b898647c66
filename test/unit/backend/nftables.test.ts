import { describe, expect, test } from 'vitest';
import { nftables } from '../../../src/backend/nftables.ts';
import { addressSet, readNftJson, TABLE } from '../../../src/backend/nftables-survey.ts';
import { decide } from '../../../src/policy/policy.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import {
  answersEarly,
  HOOKS,
  isHook,
  isOfFirstLook,
  type Ruleset,
} from '../../../src/ruleset/ruleset.ts';
import { POLICIES, POLICY_NAMES, TUN0 } from '../../support/policies.ts';

const EMPTY = { image: [], policies: [], present: false };
const json = (...objects: readonly unknown[]) =>
  JSON.stringify({ nftables: [{ metainfo: { version: '1.0.6' } }, ...objects] });

/** Without a first look where it has nothing to tell anybody. */
const loaded = (ruleset: Ruleset): Ruleset =>
  answersEarly(ruleset) ? ruleset : ruleset.filter(({ name }) => !isOfFirstLook(name));

describe('a script', () => {
  const scripts = POLICY_NAMES.map((name) => ({
    name,
    ruleset: compile(POLICIES[name]),
    stdin: nftables.replace(compile(POLICIES[name]), EMPTY).commit[0]?.stdin ?? '',
  }));

  test('replaces our table whole, whether or not it was there, and names no other', () => {
    for (const { stdin } of scripts) {
      expect(stdin.split('\n').slice(0, 3)).toEqual([
        `table inet ${TABLE}`,
        `delete table inet ${TABLE}`,
        `table inet ${TABLE} {`,
      ]);
      expect(
        [...stdin.matchAll(/^\s*(?:delete )?table (.+?)(?: \{)?$/gm)].every(
          ([, table]) => table === `inet ${TABLE}`,
        ),
      ).toBe(true);
      expect(stdin).not.toMatch(/flush|include|define/);
    }
  });

  test('is checked before it is committed', () => {
    const { check, commit } = nftables.replace(compile(POLICIES.connected), EMPTY);
    expect(check.map(({ args }) => args)).toEqual([['--check', '-f', '-']]);
    expect(commit.map(({ args }) => args)).toEqual([['-f', '-']]);
    expect(check[0]?.stdin).toBe(commit[0]?.stdin);
  });

  test('defines every chain of the ruleset before it is jumped to', () => {
    for (const { ruleset, stdin } of scripts) {
      const known = new Set<string>();
      for (const line of stdin.split('\n')) {
        const [, jump] = / jump (\S+)/.exec(line) ?? [];
        if (jump !== undefined) expect(known).toContain(jump);
        const [, chain] = /^ {2}chain (\S+) \{$/.exec(line) ?? [];
        if (chain !== undefined) known.add(chain);
      }
      expect([...known]).toEqual(loaded(ruleset).map(({ name }) => name));
    }
  });

  test('lets the base chains drop what no rule decides about, and decides about what leaves after source NAT', () => {
    for (const { ruleset, stdin } of scripts)
      for (const hook of HOOKS.filter((each) =>
        loaded(ruleset).some(({ name }) => name === each),
      )) {
        const priority = hook === 'postrouting' ? '200' : 'filter';
        expect(stdin).toContain(
          `chain ${hook} {\n    type filter hook ${hook} priority ${priority}; policy drop;\n`,
        );
      }
  });

  test('gives every rule its reason as a comment, and counts it', () => {
    for (const { stdin } of scripts)
      for (const line of stdin.split('\n'))
        if (/^ {4}(?!type|elements|size|flags)\S/.test(line))
          expect(line).toMatch(/ ?counter .* ?comment "[a-z0-9-]+"$/);
  });

  test('names interfaces in quotes, so that no name is read as a word of nft', () => {
    for (const { stdin } of scripts)
      for (const [, name] of stdin.matchAll(/[io]ifname (?:!= )?(\S+)/g))
        expect(name).toMatch(/^"[^"]+"$/);
  });
});

describe('what a tunnel adds', () => {
  test('creates chains, which fails where they are, and adds rules to the ends of others', () => {
    const { base } = POLICIES.connected;
    const stdin =
      nftables.add(compile(decide(base, [])), compile(decide(base, [TUN0])))?.commit[0]?.stdin ??
      '';
    const lines = stdin.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(4);
    for (const line of lines)
      expect(line).toMatch(new RegExp(`^(create chain|add rule) inet ${TABLE} `));
    for (const line of lines)
      expect(HOOKS.some((hook) => line.startsWith(`add rule inet ${TABLE} ${hook} `))).toBe(false);
  });

  test('is nothing when there is nothing to add', () => {
    expect(nftables.add(compile(POLICIES.connected), compile(POLICIES.connected))).toBeUndefined();
  });
});

describe('the image of a ruleset', () => {
  test('has a chain for each, with a policy for base chains alone, and a reason for each rule', () => {
    for (const name of POLICY_NAMES) {
      const ruleset = loaded(compile(POLICIES[name]));
      const image = nftables.image(compile(POLICIES[name]));
      expect(image.map((chain) => chain.name)).toEqual(ruleset.map((chain) => chain.name));
      for (const [index, chain] of image.entries()) {
        const source = ruleset[index];
        expect(chain.policy).toBe(
          source !== undefined && isHook(source.name)
            ? `drop on ${source.name}${source.name === 'postrouting' ? ' at priority 200' : ''}`
            : undefined,
        );
        expect(new Set(chain.rules.map(({ id }) => id))).toEqual(
          new Set(source?.rules.map(({ id }) => id)),
        );
      }
    }
  });
});

describe('a listing', () => {
  const chain = (change: object = {}) => ({
    chain: {
      family: 'inet',
      table: TABLE,
      name: 'output',
      type: 'filter',
      hook: 'output',
      prio: 0,
      policy: 'drop',
      ...change,
    },
  });
  const rule = (expr: readonly unknown[], comment?: string) => ({
    rule: { family: 'inet', table: TABLE, chain: 'output', ...(comment && { comment }), expr },
  });
  const match = (left: unknown, right: unknown, op = '==') => ({ match: { op, left, right } });
  const texts = (...expr: readonly unknown[]) =>
    readNftJson(json(chain(), rule(expr)))[0]?.rules[0]?.text;

  test.each<readonly [string, readonly unknown[]]>([
    [
      'oifname "lo" counter accept',
      [
        match({ meta: { key: 'oifname' } }, 'lo'),
        { counter: { packets: 3, bytes: 9 } },
        { accept: null },
      ],
    ],
    ['iifname != "tun0" drop', [match({ meta: { key: 'iifname' } }, 'tun0', '!='), { drop: null }]],
    [
      'meta skuid 0 jump endpoint',
      [match({ meta: { key: 'skuid' } }, 0), { jump: { target: 'endpoint' } }],
    ],
    ['meta mark 0x0000ca6c accept', [match({ meta: { key: 'mark' } }, 0xca6c), { accept: null }]],
    [
      'ip daddr 10.8.0.0/24 accept',
      [
        match(
          { payload: { protocol: 'ip', field: 'daddr' } },
          { prefix: { addr: '10.8.0.0', len: 24 } },
        ),
        { accept: null },
      ],
    ],
    [
      'icmpv6 type 135 accept',
      [
        match({ payload: { protocol: 'icmpv6', field: 'type' } }, 'nd-neighbor-solicit'),
        { accept: null },
      ],
    ],
    [
      'icmp type 8 accept',
      [match({ payload: { protocol: 'icmp', field: 'type' } }, 'echo-request'), { accept: null }],
    ],
    [
      'udp dport { 53, 853 } drop',
      [match({ payload: { protocol: 'udp', field: 'dport' } }, { set: [853, 53] }), { drop: null }],
    ],
    [
      'ct state established,related accept',
      [match({ ct: { key: 'state' } }, ['related', 'established'], 'in'), { accept: null }],
    ],
    ['reject with tcp reset', [{ reject: { type: 'tcp reset' } }]],
    [
      'reject with icmpx type port-unreachable',
      [{ reject: { type: 'icmpx', expr: 'port-unreachable' } }],
    ],
    [
      'limit rate log prefix "killswitch rest: "',
      [{ limit: { rate: 10, per: 'minute' } }, { log: { prefix: 'killswitch rest: ' } }],
    ],
  ])('reads %s', (text, expr) => {
    expect(texts(...expr)).toBe(text);
  });

  test('keeps what it does not know, so that it differs from everything', () => {
    expect(texts({ xt: { type: 'match', name: 'owner' } })).toBe(
      '{"xt":{"type":"match","name":"owner"}}',
    );
  });

  test('knows reason and packets of a rule, and those of no other table’s', () => {
    const [found] = readNftJson(
      json(
        chain(),
        rule([{ counter: { packets: 7, bytes: 1 } }, { accept: null }], 'loopback'),
        rule([{ drop: null }], 'mine'),
      ),
    );
    expect(found?.rules).toMatchObject([
      { id: 'loopback', packets: 7 },
      { id: undefined, packets: 0 },
    ]);
  });

  test.each([
    ['drop on output', {}],
    ['accept on output', { policy: 'accept' }],
    ['drop on output at priority 10', { prio: 10 }],
    ['drop on input', { hook: 'input' }],
    [undefined, { hook: undefined }],
  ])('says a chain’s policy is "%s"', (policy, change) => {
    expect(readNftJson(json(chain(change)))[0]?.policy).toBe(policy);
  });

  test('of a table that is asleep differs from one that is awake', () => {
    const asleep = readNftJson(
      json({ table: { family: 'inet', name: TABLE, flags: ['dormant'] } }, chain()),
    );
    expect(asleep[0]?.policy).not.toBe('drop on output');
  });

  test.each(['', 'not json', '{"nftables"'])('that is %j is an error', (text) => {
    expect(() => readNftJson(text)).toThrow(expect.objectContaining({ code: 'COMMAND' }));
  });

  test('tells a missing table from one that cannot be listed', () => {
    const missing = {
      status: 1,
      stdout: '',
      stderr: 'Error: No such file or directory\nlist table inet x\n',
    };
    expect(nftables.survey([missing]).present).toBe(false);
    expect(nftables.survey([{ status: 0, stdout: json(chain()), stderr: '' }]).present).toBe(true);
    for (const output of [
      { status: 1, stdout: '', stderr: 'Operation not permitted' },
      { status: null, stdout: '', stderr: '' },
    ])
      expect(() => nftables.survey([output])).toThrow(expect.objectContaining({ code: 'COMMAND' }));
    expect(() => nftables.survey([])).toThrow(expect.objectContaining({ code: 'COMMAND' }));
  });
});

describe('a set of addresses', () => {
  test('has one spelling, whether neighbours are listed one by one or as a range', () => {
    expect(addressSet(['10.8.0.0/25', '10.8.0.128/25'])).toBe(addressSet(['10.8.0.0-10.8.0.255']));
    expect(addressSet(['10.8.0.0/24'])).not.toBe(addressSet(['10.8.0.0/25']));
    expect(addressSet(['@set', '10.8.0.0/24'])).toBe('@set, 10.8.0.0/24');
  });
});

describe('taking everything away', () => {
  test('deletes our table, where there is one', () => {
    expect(
      nftables.remove({ ...EMPTY, present: true }, []).commit.map(({ stdin }) => stdin),
    ).toEqual([`delete table inet ${TABLE}\n`]);
    expect(nftables.remove(EMPTY, [])).toEqual({ check: [], commit: [] });
  });
});
