import { describe, expect, test } from 'vitest';
import type { Survey } from '../../../src/backend/backend.ts';
import { chainText, iptables } from '../../../src/backend/iptables.ts';
import { nftables } from '../../../src/backend/nftables.ts';
import { decide, type Policy } from '../../../src/policy/policy.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import { HOOKS, SHARED_CHAINS } from '../../../src/ruleset/ruleset.ts';
import { POLICIES, POLICY_NAMES, TUN0, tunnelOf } from '../../support/policies.ts';

const EMPTY: Survey = { image: [], policies: [], present: false };
/** XT_EXTENSION_MAXNAMELEN less the final zero. */
const LONGEST = 28;

describe('the name of a chain', () => {
  const [device] = [tunnelOf({ device: 'abcdefghijklmno' }).device];

  test('fits the kernel, with the longest device name too', () => {
    for (const hook of HOOKS)
      expect(chainText(`${hook}-${device}`).length).toBeLessThanOrEqual(LONGEST);
    for (const name of [...HOOKS, ...SHARED_CHAINS])
      expect(chainText(name).length).toBeLessThanOrEqual(LONGEST);
  });

  test('is never that of another chain', () => {
    const devices = [
      'tun0',
      'address',
      'networks',
      'offloaded',
      'source',
      'egress',
      'input',
      'output',
      'forward',
      'OUTPUT',
      device,
    ].map((name) => tunnelOf({ device: name }).device);
    const names = [
      ...HOOKS,
      ...SHARED_CHAINS,
      ...devices.flatMap((each) => HOOKS.map((hook) => `${hook}-${each}` as const)),
    ];
    expect(new Set(names.map(chainText)).size).toBe(names.length);
  });

  test('of the base chains is what the interface promises', () => {
    expect(HOOKS.map(chainText)).toEqual([
      'KILLSWITCH-INPUT',
      'KILLSWITCH-FORWARD',
      'KILLSWITCH-OUTPUT',
      'KILLSWITCH-POSTROUTING',
    ]);
  });
});

describe('a restore script', () => {
  const scripts = POLICY_NAMES.flatMap((name) => {
    const { check, commit } = iptables().replace(compile(POLICIES[name]), EMPTY);
    return [...check, ...commit].map((command) => ({
      name,
      command,
      lines: (command.stdin ?? '').split('\n'),
    }));
  });

  test('is for mangle and then for filter, whole and nothing else', () => {
    for (const { lines } of scripts) {
      expect(lines[0]).toBe('*mangle');
      expect(lines.slice(-2)).toEqual(['COMMIT', '']);
      expect(lines.filter((line) => /^\*|^COMMIT/.test(line))).toEqual([
        '*mangle',
        'COMMIT',
        '*filter',
        'COMMIT',
      ]);
      const other = lines.filter((line) => !/^\*|^COMMIT|^$/.test(line));
      for (const line of other) expect(line).toMatch(/^(:[\w.-]+ (DROP|-) \[0:0\]|-[AI] .+)$/);
    }
  });

  test('neither rejects in mangle nor sets a chain policy there', () => {
    for (const { lines } of scripts) {
      const wall = lines.slice(0, lines.indexOf('COMMIT'));
      expect(wall.filter((line) => /-j REJECT\b|^:\w+ (DROP|ACCEPT)/.test(line))).toEqual([]);
      expect(wall.filter((line) => line.includes(' -j DROP')).length).toBeGreaterThan(2);
    }
  });

  test('is for filter alone where the kernel has no mangle, and takes down what is there of it', () => {
    const plain = iptables(['ipv4'], '', false);
    const ruleset = compile(POLICIES.connected);
    expect(plain.replace(ruleset, EMPTY).commit[0]?.stdin).toMatch(/^\*filter\n/);
    const found = { ...EMPTY, image: iptables(['ipv4']).image(ruleset), present: true };
    const [script = ''] = plain.replace(ruleset, found).commit.map(({ stdin }) => stdin);
    expect(script.slice(0, script.indexOf('*filter'))).toMatch(
      /^\*mangle\n(:KILLSWITCH-\S+ - \[0:0\]\n|-D \w+ -j \S+\n|-X \S+\n)+COMMIT\n$/,
    );
  });

  test('is checked for both families before either is committed, IPv6 first', () => {
    const { check, commit } = iptables().replace(compile(POLICIES.connected), EMPTY);
    expect(check.map(({ program, args }) => [program, args.includes('--test')])).toEqual([
      ['ip6tables-restore', true],
      ['iptables-restore', true],
    ]);
    expect(commit.map(({ program, args }) => [program, args.includes('--test')])).toEqual([
      ['ip6tables-restore', false],
      ['iptables-restore', false],
    ]);
    for (const command of [...check, ...commit]) expect(command.args).toContain('--noflush');
  });

  test('names a chain in no line before it is declared', () => {
    for (const { lines } of scripts) {
      const declared = new Set(lines.flatMap((line) => /^:(\S+)/.exec(line)?.[1] ?? []));
      for (const line of lines) {
        const [, target] = / -j (KILLSWITCH\S+)/.exec(line) ?? [];
        if (target !== undefined) expect(declared).toContain(target);
      }
    }
  });

  test('sets each builtin chain to DROP and puts our jump first', () => {
    for (const { lines } of scripts)
      for (const chain of ['INPUT', 'FORWARD', 'OUTPUT']) {
        expect(lines).toContain(`:${chain} DROP [0:0]`);
        expect(lines).toContain(`-I ${chain} 1 -j KILLSWITCH-${chain}`);
      }
  });

  test('holds no address of the other family', () => {
    for (const { command, lines } of scripts)
      for (const line of lines) {
        const addresses = [...line.matchAll(/ -[sd] (\S+)/g)].map(([, address = '']) =>
          address.includes(':'),
        );
        for (const isIpv6 of addresses)
          expect(isIpv6).toBe(command.program === 'ip6tables-restore');
      }
  });

  test('has at most fifteen ports in a multiport match, a range counting twice', () => {
    const matches = scripts
      .flatMap(({ lines }) => lines)
      .flatMap((line) => / --[sd]ports (\S+)/.exec(line)?.[1] ?? []);
    expect(matches.length).toBeGreaterThan(0);
    for (const ports of matches) expect(ports.split(/[,:]/).length).toBeLessThanOrEqual(15);
  });

  test('gives every rule its reason as a comment', () => {
    for (const { lines } of scripts)
      for (const line of lines)
        if (line.startsWith('-A'))
          expect(line).toMatch(/ --comment [a-z0-9-]+ -j |--comment [a-z0-9-]+ -j /);
  });
});

describe('what stands for the base while nftables.service flushes', () => {
  test.each(POLICY_NAMES)(
    'drops what no rule accepts, in words that every nft reads: %s',
    (name) => {
      const hold = iptables().bootText(compile(POLICIES[name]))['base.hold'] ?? '';
      expect(hold.match(/type filter hook \w+ priority (filter|200); policy drop;/g)).toHaveLength(
        3,
      );
      expect(hold).not.toMatch(/reject/);
      const policy: Policy = POLICIES[name];
      const quiet = compile({ ...policy, base: { ...policy.base, refuse: 'drop' } });
      expect(hold.match(/ accept comment /g)).toEqual(
        nftables.bootText(quiet)['base.nft']?.match(/ accept comment /g),
      );
    },
  );
});

describe('what a tunnel adds', () => {
  test('neither flushes nor deletes nor inserts', () => {
    const { base } = POLICIES.connected;
    const transaction = iptables().add(compile(decide(base, [])), compile(decide(base, [TUN0])));
    for (const { stdin } of transaction?.commit ?? [])
      expect(stdin).toMatch(/^\*mangle\n(-[NA] .*\n)+COMMIT\n\*filter\n(-[NA] .*\n)+COMMIT\n$/);
    expect(transaction?.commit.length).toBe(2);
  });

  test('is nothing when there is nothing to add', () => {
    const ruleset = compile(POLICIES.connected);
    expect(iptables().add(ruleset, ruleset)).toBeUndefined();
  });
});

describe('a survey', () => {
  const SAVED = `# Generated by iptables-save v1.8.9 (nf_tables)
*filter
:INPUT ACCEPT [1:60]
:FORWARD DROP [0:0]
:OUTPUT DROP [5:300]
:DOCKER - [0:0]
:KILLSWITCH-OUTPUT - [0:0]
:KILLSWITCH-TUNNEL-OUTPUT - [0:0]
[1:60] -A INPUT -i docker0 -j ACCEPT
[7:420] -A OUTPUT -j KILLSWITCH-OUTPUT
[0:0] -A OUTPUT -j DOCKER
[0:0] -A OUTPUT -j KILLSWITCH-OUTPUT
[2:120] -A KILLSWITCH-OUTPUT -o lo -m comment --comment loopback -j ACCEPT
[3:180] -A KILLSWITCH-OUTPUT -m comment --comment rest -m limit --limit 10/min -j LOG --log-prefix "killswitch rest: "
[3:180] -A KILLSWITCH-OUTPUT -p tcp -m comment --comment "other rest" -j DROP
COMMIT
`;
  const output = { status: 0, stdout: SAVED, stderr: '' };
  const survey = iptables(['ipv4']).survey([output]);
  const chain = (name: string) => survey.image.find((each) => each.name === name);

  test('knows the policies of the builtin chains', () => {
    expect(survey.policies.map(({ chain: name, policy }) => `${name} ${policy}`)).toEqual([
      'INPUT ACCEPT',
      'FORWARD DROP',
      'OUTPUT DROP',
    ]);
  });

  test('says that something of ours is there, and when nothing is', () => {
    expect(survey.present).toBe(true);
    const others = SAVED.split('\n')
      .filter((line) => !line.includes('KILLSWITCH'))
      .join('\n');
    expect(iptables(['ipv4']).survey([{ ...output, stdout: others }]).present).toBe(false);
    expect(
      iptables(['ipv4']).survey([
        { ...output, stdout: `${others}\n[0:0] -A OUTPUT -j KILLSWITCH-OUTPUT` },
      ]).present,
    ).toBe(true);
  });

  test('sees no rule of others below our jump, but a second jump', () => {
    expect(chain('OUTPUT')?.rules.map(({ text }) => text)).toEqual([
      '-j KILLSWITCH-OUTPUT',
      '-j KILLSWITCH-OUTPUT',
    ]);
    expect(chain('INPUT')?.rules).toEqual([]);
    expect(chain('DOCKER')).toBeUndefined();
  });

  test('sees a rule of others above our jump', () => {
    const above = SAVED.replace(
      '[7:420]',
      '[9:540] -A OUTPUT -d 198.51.100.0/24 -j ACCEPT\n[7:420]',
    );
    const found = iptables(['ipv4']).survey([{ ...output, stdout: above }]);
    expect(found.image.find(({ name }) => name === 'OUTPUT')?.rules[0]?.text).toBe(
      '-d 198.51.100.0/24 -j ACCEPT',
    );
  });

  test('knows each rule’s reason, packets and text, without the number of a limit', () => {
    expect(chain('KILLSWITCH-OUTPUT')?.rules).toMatchObject([
      { id: 'loopback', packets: 2 },
      { id: 'rest', packets: 3 },
      { id: undefined, packets: 3 },
    ]);
    expect(chain('KILLSWITCH-OUTPUT')?.rules[1]?.text).not.toContain('10/min');
  });

  test('knows in which chains the order matters', () => {
    expect(chain('KILLSWITCH-OUTPUT')?.ordered).toBe(true);
    expect(chain('KILLSWITCH-TUNNEL-OUTPUT')?.ordered).toBe(false);
  });

  test('knows the second wall by its table, and no wall where there is none', () => {
    const wall = SAVED.replace('*filter', '*mangle').replaceAll('OUTPUT', 'POSTROUTING');
    const names = iptables(['ipv4'])
      .survey([{ ...output, stdout: `${wall}${SAVED}` }])
      .image.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'OUTPUT',
        'KILLSWITCH-OUTPUT',
        'mangle POSTROUTING',
        'mangle KILLSWITCH-POSTROUTING',
      ]),
    );
    expect(survey.image.filter(({ name }) => name.startsWith('mangle '))).toEqual([]);
    expect(iptables(['ipv4']).survey([{ ...output, stdout: wall }]).present).toBe(true);
  });

  test('of a table that was never used is empty', () => {
    expect(
      iptables().survey([
        { ...output, stdout: '' },
        { ...output, stdout: '' },
      ]).present,
    ).toBe(false);
  });

  test('is an error when a family could not be read', () => {
    for (const outputs of [
      [],
      [output],
      [output, { ...output, status: 4 }],
      [{ ...output, status: null }, output],
    ])
      expect(() => iptables().survey(outputs)).toThrow(
        expect.objectContaining({ code: 'COMMAND' }),
      );
  });
});

describe('taking everything away', () => {
  test('is nothing to do where there is nothing of ours', () => {
    expect(iptables().remove(EMPTY, []).commit).toEqual([]);
  });

  test('deletes our jumps and chains and puts the policies back, and names nothing of others', () => {
    const saved = `*filter
:INPUT DROP [0:0]
:OUTPUT DROP [0:0]
:OTHERS - [0:0]
:KILLSWITCH-OUTPUT - [0:0]
[0:0] -A OUTPUT -j KILLSWITCH-OUTPUT
[0:0] -A OUTPUT -j OTHERS
COMMIT
`;
    const found = iptables(['ipv4']).survey([{ status: 0, stdout: saved, stderr: '' }]);
    const { commit } = iptables(['ipv4']).remove(found, [
      { family: 'ipv4', chain: 'OUTPUT', policy: 'ACCEPT' },
    ]);
    expect(commit.map(({ stdin }) => stdin)).toEqual([
      '*filter\n:OUTPUT ACCEPT [0:0]\n:KILLSWITCH-OUTPUT - [0:0]\n-D OUTPUT -j KILLSWITCH-OUTPUT\n-X KILLSWITCH-OUTPUT\nCOMMIT\n',
    ]);
  });
});
