import type { Command, Program } from '../host/command.ts';
import { FAMILIES, type Family } from '../net/address.ts';
import type { Interfaces } from '../net/interface-pattern.ts';
import type { PortRange } from '../net/port.ts';
import { type Addition, additions } from '../ruleset/additions.ts';
import { isEmpty } from '../ruleset/amendment.ts';
import { multisetDifference } from '../ruleset/multiset-difference.ts';
import {
  type ChainName,
  HOOKS,
  type Hook,
  isHook,
  isOrdered,
  type Match,
  type Rule,
  type Ruleset,
  SHARED_CHAINS,
} from '../ruleset/ruleset.ts';
import { splitReject } from '../ruleset/split-reject.ts';
import type { Backend, ChainPolicy, Survey, Transaction } from './backend.ts';
import { differencesOf, type Image } from './image.ts';
import { comparable, imageName, readIptablesSave, surveyed } from './iptables-survey.ts';
import {
  BUILTINS,
  CHAIN_PREFIX,
  FORMER_TABLE,
  inTable,
  TABLES,
  type Table,
} from './iptables-tables.ts';
import { replaceText } from './nftables.ts';

/** Port slots of xt_multiport in a rule; a range takes two (iptables-extensions(8)). */
const MULTIPORT_SLOTS = 15;
/** Units of `-m limit`. */
const UNITS = { second: 'sec', minute: 'min', hour: 'hour' } as const;
const IPV6_HEADER = 40;
/**
 * Seconds to wait for the xtables lock, so that another program's rule change does not fail ours.
 */
const LOCK_SECONDS = '5';

const DEVICE_PREFIX: Readonly<Record<Hook, string>> = {
  input: `${CHAIN_PREFIX}I-`,
  forward: `${CHAIN_PREFIX}F-`,
  output: `${CHAIN_PREFIX}O-`,
  postrouting: `${CHAIN_PREFIX}P-`,
};

/**
 * Returns a chain's name in iptables. It abbreviates a device's chains: a name has at most 28
 * characters (XT_EXTENSION_MAXNAMELEN).
 */
export function chainText(name: ChainName): string {
  if (isHook(name) || (SHARED_CHAINS as readonly string[]).includes(name))
    return `${CHAIN_PREFIX}${name.toUpperCase()}`;
  const hook = HOOKS.find((each) => name.startsWith(`${each}-`)) ?? 'output';
  return `${DEVICE_PREFIX[hook]}${name.slice(hook.length + 1)}`;
}

function rangeText({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}:${last}`;
}

/** Splits ranges into groups that fit one multiport match. */
function groups(ranges: readonly PortRange[]): readonly (readonly PortRange[])[] {
  const all: PortRange[][] = [];
  let slots = MULTIPORT_SLOTS + 1;
  for (const range of ranges) {
    const needed = range.first === range.last ? 1 : 2;
    slots += needed;
    if (slots > MULTIPORT_SLOTS) {
      all.push([]);
      slots = needed;
    }
    all.at(-1)?.push(range);
  }
  return all;
}

/**
 * Returns the port words for each rule a match needs: `-m udp --sport 68 --dport 67`, or `-m
 * multiport --dports 53,853`.
 */
function portWords(transport: string, { fromPorts, toPorts }: Match): readonly string[] {
  const single = (ranges: readonly PortRange[] | undefined) =>
    ranges === undefined || ranges.length === 1;
  if (fromPorts === undefined && toPorts === undefined) return [''];
  if (single(fromPorts) && single(toPorts)) {
    const source = (fromPorts ?? []).map((range) => ` --sport ${rangeText(range)}`);
    const destination = (toPorts ?? []).map((range) => ` --dport ${rangeText(range)}`);
    return [` -m ${transport}${source.join('')}${destination.join('')}`];
  }
  const several = (flag: string, ranges: readonly PortRange[] | undefined) =>
    ranges === undefined
      ? ['']
      : groups(ranges).map((group) => ` -m multiport --${flag} ${group.map(rangeText).join(',')}`);
  return several('sports', fromPorts).flatMap((source) =>
    several('dports', toPorts).map((destination) => source + destination),
  );
}

/** Returns transport, ports and ICMP type: the words for the payload, from `-p` on. */
function payloadWords(match: Match, family: Family): readonly string[] {
  if (match.endpoints !== undefined) return [''];
  if (match.icmp !== undefined)
    return match.icmp.map((type) => {
      const what = match.icmpCode === undefined ? `${type}` : `${type}/${match.icmpCode}`;
      return family === 'ipv6'
        ? ` -p ipv6-icmp -m icmp6 --icmpv6-type ${what}`
        : ` -p icmp -m icmp --icmp-type ${what}`;
    });
  if (match.transports === undefined) return [''];
  return match.transports.flatMap((transport) =>
    portWords(transport, match).map((ports) => ` -p ${transport}${ports}`),
  );
}

/** Writes a pattern's end as a plus, as iptables(8) does; nft(8) has a star. */
function interfacesText(interfaces: Interfaces): string {
  return interfaces.replace(/\*$/, '+');
}

function ownerWords(owner: Match['owner']): string {
  if (owner === undefined) return '';
  return owner.kind === 'uid'
    ? ` -m owner --uid-owner ${owner.uid}`
    : ` -m mark --mark 0x${owner.mark.toString(16)}`;
}

/**
 * Returns a match as one line per combination of its values. Spelling and order are
 * iptables-save's: source, destination, interfaces, protocol, then the matches in the order given.
 */
function matchLines(match: Match, family: Family): readonly string[] {
  const host = family === 'ipv6' ? '/128' : '/32';
  const sources = (match.from ?? [undefined]).map((network) =>
    network === undefined ? '' : ` -s ${network.text}`,
  );
  const destinations =
    match.endpoints?.map(({ address, transport, port }) => ({
      to: ` -d ${address.text}${host}`,
      payload: ` -p ${transport} -m ${transport} --dport ${port}`,
    })) ??
    (match.to ?? [undefined]).map((network) => ({
      to: network === undefined ? '' : ` -d ${network.text}`,
      payload: '',
    }));
  const interfaces = [
    match.in === undefined ? '' : ` -i ${interfacesText(match.in)}`,
    match.notIn === undefined ? '' : ` ! -i ${match.notIn}`,
    match.out === undefined ? '' : ` -o ${interfacesText(match.out)}`,
    match.notOut === undefined ? '' : ` ! -o ${match.notOut}`,
  ].join('');
  const day = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 19);
  const { during } = match;
  const time =
    during === undefined
      ? ''
      : ` -m time --datestart ${day(during.from)} --datestop ${day(during.until)}`;
  const states = match.conntrack
    ?.map((state) => state.toUpperCase())
    .sort((a, b) => (a > b ? -1 : 1));
  const bridged = match.bridged === undefined ? '' : ' -m physdev --physdev-is-bridged';
  // xt_length counts the header of 40 bytes too.
  const length =
    match.longest === undefined
      ? ''
      : ` -m length --length ${IPV6_HEADER}:${IPV6_HEADER + match.longest}`;
  const rate =
    match.rate === undefined
      ? ''
      : ` -m limit --limit ${match.rate.count}/${UNITS[match.rate.unit]}`;
  const tail = `${bridged}${ownerWords(match.owner)}${time}${length}${rate}${states === undefined ? '' : ` -m conntrack --ctstate ${states.join(',')}`}`;
  return sources.flatMap((from) =>
    destinations.flatMap(({ to, payload }) =>
      payloadWords(match, family).map(
        (words) => `${from}${to}${interfaces}${payload}${words}${tail}`,
      ),
    ),
  );
}

function verdictLines({ id, match, verdict }: Rule, family: Family): readonly string[] {
  const lines = matchLines(match, family);
  const all = (target: string, head = '') =>
    lines.map((line) => `${line}${head} -m comment --comment ${id} -j ${target}`.trimStart());
  if (typeof verdict !== 'string' && 'log' in verdict) {
    return all(
      `LOG --log-prefix "killswitch ${id}: "`,
      ` -m limit --limit ${verdict.log.count}/${UNITS[verdict.log.unit]}`,
    );
  }
  if (typeof verdict !== 'string') return 'jump' in verdict ? all(chainText(verdict.jump)) : [];
  switch (verdict) {
    case 'accept':
      return all('ACCEPT');
    case 'drop':
      return all('DROP');
    case 'reject': {
      const { tcp, others } = splitReject(match);
      const refused = (parts: readonly Match[], how: string) =>
        parts.flatMap((part) =>
          matchLines(part, family).map((line) =>
            `${line} -m comment --comment ${id} -j REJECT --reject-with ${how}`.trimStart(),
          ),
        );
      return [
        ...refused(tcp, 'tcp-reset'),
        ...refused(others, family === 'ipv6' ? 'icmp6-port-unreachable' : 'icmp-port-unreachable'),
      ];
    }
    default:
      return verdict satisfies never;
  }
}

/**
 * iptables cannot remember the port of a question, so such an answer is dropped (decision 0100).
 */
function isDiscovery({ match }: Rule): boolean {
  return match.toMany === true || match.asked === true;
}

/** Returns the lines of a rule in one family; none when it belongs to the other. */
function ruleLines(rule: Rule, family: Family): readonly string[] {
  if (isDiscovery(rule)) return [];
  return rule.match.family === undefined || rule.match.family === family
    ? verdictLines(rule, family)
    : [];
}

function chainLines(ruleset: Ruleset, family: Family): readonly string[] {
  return ruleset.flatMap(({ name, rules }) =>
    rules.flatMap((rule) => ruleLines(rule, family)).map((line) => `-A ${chainText(name)} ${line}`),
  );
}

function additionLines(added: readonly Addition[], family: Family): readonly string[] {
  return [
    ...added.filter(({ created }) => created).map(({ name }) => `-N ${chainText(name)}`),
    ...chainLines(added, family),
  ];
}

/**
 * Whether a rule keeps packets out, or leads to one that does. The chains `endpoint` and `answers`,
 * and the chains that they lead to, only accept.
 */
function keepsOut({ verdict }: Rule): boolean {
  if (typeof verdict === 'string') return verdict !== 'accept';
  return 'jump' in verdict && verdict.jump !== 'endpoint' && verdict.jump !== 'answers';
}

/**
 * Returns one check (`-C`) for each rule of a table that keeps packets out. In the second wall,
 * which hardly any program touches, only for the last rule of each hook. A missing accept rule
 * opens nothing. Skips the long list of endpoints: iptables-nft would read all of it to find one
 * rule.
 */
function questions(table: Table, chains: Ruleset, family: Family): readonly string[] {
  const isAsked = (chain: ChainName, rule: Rule) =>
    keepsOut(rule) && (table === 'filter' || (isHook(chain) && rule.id === 'rest'));
  const asked = inTable(table, chains)
    .filter(({ name }) => name !== 'endpoint')
    .map((chain) => ({ ...chain, rules: chain.rules.filter((rule) => isAsked(chain.name, rule)) }));
  return chainLines(asked, family).map((line) => `-C${line.slice('-A'.length)}`);
}

/** Returns checks as one comparable text: a line each, after its family and its table. */
function fingerprintText(
  families: readonly Family[],
  tables: readonly Table[],
  questionsTo: (table: Table, family: Family) => readonly string[],
): string {
  return families
    .flatMap((family) =>
      tables.flatMap((table) =>
        questionsTo(table, family).map((line) => `${family} ${table} ${line}`),
      ),
    )
    .join('\n');
}

/**
 * Parses the checks of a fingerprint for a table of a family. Returns none when any line is not
 * such a check: nothing else of a file may reach the kernel.
 */
function readQuestions(fingerprint: string): (table: Table, family: Family) => readonly string[] {
  const lines = fingerprint.split('\n');
  if (!lines.every((line) => /^ipv[46] (filter|mangle) -C KILLSWITCH-[^=]*$/.test(line)))
    return () => [];
  return (table, family) => {
    const head = `${family} ${table} `;
    return lines.filter((line) => line.startsWith(head)).map((line) => line.slice(head.length));
  };
}

const asItIs = (line: string) => line;

function removalLines(removed: readonly Addition[], family: Family): readonly string[] {
  const shared = removed.filter(({ created }) => !created);
  const whole = removed.filter(({ created }) => created).map(({ name }) => chainText(name));
  return [
    ...chainLines(shared, family).map((line) => line.replace(/^-A/, '-D')),
    ...whole.map((name) => `-F ${name}`),
    ...whole.map((name) => `-X ${name}`),
  ];
}

/** The implementation: the machine's default, or one of the two by name. */
export type IptablesKind = '' | '-nft' | '-legacy';

function programOf(family: Family, kind: IptablesKind, end: 'restore' | 'save'): Program {
  return `${family === 'ipv6' ? 'ip6tables' : 'iptables'}${kind}-${end}`;
}

/** IPv6 first: between two commits IPv4 is the family people notice. */
function load(
  families: readonly Family[],
  kind: IptablesKind,
  script: (family: Family) => string | undefined,
): Transaction {
  const command = (family: Family, stdin: string, ...args: readonly string[]): Command => ({
    program: programOf(family, kind, 'restore'),
    args: ['--noflush', '-w', LOCK_SECONDS, ...args],
    stdin,
  });
  const scripts = [...families]
    .sort((a, b) => (a > b ? -1 : 1))
    .flatMap((family) => {
      const stdin = script(family);
      return stdin === undefined ? [] : [{ family, stdin }];
    });
  return {
    check: scripts.map(({ family, stdin }) => command(family, stdin, '--test')),
    commit: scripts.map(({ family, stdin }) => command(family, stdin)),
  };
}

/**
 * Returns a script with one section per table that has lines; undefined when none has. Tables
 * commit one by one, in this order.
 */
function tablesScript(linesOf: (table: Table) => readonly string[]): string | undefined {
  const sections = ([...TABLES, FORMER_TABLE] as const).flatMap((table) => {
    const lines = linesOf(table);
    return lines.length === 0 ? [] : [`*${table}`, ...lines, 'COMMIT'];
  });
  return sections.length === 0 ? undefined : `${sections.join('\n')}\n`;
}

/** Leaves out the rules that need the match `physdev`. Only chains that no hook amends have one. */
function withoutFrames(ruleset: Ruleset): Ruleset {
  return ruleset.map((chain) =>
    isHook(chain.name)
      ? { ...chain, rules: chain.rules.filter(({ match }) => match.bridged === undefined) }
      : chain,
  );
}

/**
 * Returns lines that leave only our jump at the top of a builtin chain, whatever was found there.
 */
function jumpLines(found: Survey, family: Family, table: Table): readonly string[] {
  return BUILTINS[table].flatMap(({ hook, chain }) => {
    const jump = `-j ${chainText(hook)}`;
    const rules = surveyed(found, family, table).find(({ name }) => name === chain)?.rules ?? [];
    const ours = rules.filter(({ text }) => text === jump).length;
    if (rules[0]?.text === jump && ours === 1) return [];
    return [...Array.from({ length: ours }, () => `-D ${chain} ${jump}`), `-I ${chain} 1 ${jump}`];
  });
}

function replaceLines(
  own: Ruleset,
  found: Survey,
  family: Family,
  table: Table,
): readonly string[] {
  const wanted = own.map(({ name }) => chainText(name));
  const stale = surveyed(found, family, table)
    .map(({ name }) => name)
    .filter((name) => name.startsWith(CHAIN_PREFIX) && !wanted.includes(name));
  return [
    ...(table === 'filter' ? BUILTINS.filter.map(({ chain }) => `:${chain} DROP [0:0]`) : []),
    ...[...wanted, ...stale].map((name) => `:${name} - [0:0]`),
    ...chainLines(own, family),
    ...jumpLines(found, family, table),
    ...stale.map((name) => `-X ${name}`),
  ];
}

function removeLines(
  found: Survey,
  before: readonly ChainPolicy[],
  family: Family,
  table: Table,
): readonly string[] {
  const chains = surveyed(found, family, table);
  const ours = chains.map(({ name }) => name).filter((name) => name.startsWith(CHAIN_PREFIX));
  const jumps = BUILTINS[table].flatMap(({ hook, chain }) => {
    const jump = `-j ${chainText(hook)}`;
    const rules = chains.find(({ name }) => name === chain)?.rules ?? [];
    return rules.filter(({ text }) => text === jump).map(() => `-D ${chain} ${jump}`);
  });
  const now = new Map(
    found.policies
      .filter((each) => each.family === family)
      .map(({ chain, policy }) => [chain, policy]),
  );
  const changed = before.filter(
    (each) => table === 'filter' && each.family === family && now.get(each.chain) !== each.policy,
  );
  const policies = changed.map(({ chain, policy }) => `:${chain} ${policy} [0:0]`);
  return [
    ...policies,
    ...ours.map((name) => `:${name} - [0:0]`),
    ...jumps,
    ...ours.map((name) => `-X ${name}`),
  ];
}

/** Returns a locked builtin chain: our jump first, and in filter the policy drop. */
function builtinImage(family: Family, table: Table): Image {
  return BUILTINS[table].map(({ hook, chain }) => ({
    family,
    name: imageName(table, chain),
    policy: table === 'filter' ? 'DROP' : undefined,
    ordered: true,
    rules: [{ id: undefined, text: `-j ${chainText(hook)}` }],
  }));
}

function imageOf(ruleset: Ruleset, families: readonly Family[], tables: readonly Table[]): Image {
  return families.flatMap((family) =>
    tables.flatMap((table) => [
      ...builtinImage(family, table),
      ...inTable(table, ruleset).map(({ name, rules }) => ({
        family,
        name: imageName(table, chainText(name)),
        policy: undefined,
        ordered: isOrdered(name),
        rules: rules.flatMap((rule) =>
          ruleLines(rule, family).map((line) => ({ id: rule.id, text: comparable(line) })),
        ),
      })),
    ]),
  );
}

/**
 * Renders a ruleset as one restore script per family, for the table filter. With `wall` it renders
 * it a second time for the table mangle, which decides about outgoing packets. With `frames` it
 * includes the rules for bridged frames. Works with iptables-nft and iptables-legacy (tested with
 * 1.8.9 and 1.8.11).
 */
export function iptables(
  families: readonly Family[] = FAMILIES,
  kind: IptablesKind = '',
  wall = true,
  frames = false,
): Backend {
  const empty: Survey = { image: [], policies: [], present: false };
  const tables: readonly Table[] = TABLES.filter((table) => wall || table === 'filter');
  // One run for all tables: naming two would take two runs, and create missing tables.
  const look = families.map(
    (family): Command => ({ program: programOf(family, kind, 'save'), args: ['-c'] }),
  );
  const script = (linesOf: (table: Table) => readonly string[]) =>
    tablesScript((table) => (tables.includes(table) ? linesOf(table) : []));
  const shown = (ruleset: Ruleset) => (frames ? ruleset : withoutFrames(ruleset));
  const imageHere = (ruleset: Ruleset) => imageOf(shown(ruleset), families, tables);
  const replacing = (ruleset: Ruleset, found: Survey, family: Family) =>
    tablesScript((table) =>
      tables.includes(table)
        ? replaceLines(inTable(table, shown(ruleset)), found, family, table)
        : removeLines(found, [], family, table),
    );
  return {
    name: 'iptables',
    look,
    restores: families.map((family) => [family, programOf(family, kind, 'restore')]),
    survey: (outputs) => readIptablesSave(families, outputs),
    image: imageHere,
    replace: (ruleset, found) =>
      load(families, kind, (family) => replacing(ruleset, found, family)),
    add: (from, to) => {
      const added = additions(from, to);
      if (added === undefined || added.length === 0) return undefined;
      return load(families, kind, (family) =>
        script((table) => additionLines(inTable(table, added), family)),
      );
    },
    fingerprint: [],
    fingerprintOf: (_outputs, ruleset) =>
      fingerprintText(families, tables, (table, family) => questions(table, ruleset, family)),
    amend: (change, fingerprint) => {
      if (isEmpty(change)) return look;
      const asked = readQuestions(fingerprint);
      // The last rule of every hook has a check.
      if (families.some((family) => tables.some((table) => asked(table, family).length === 0)))
        return [];
      return load(families, kind, (family) =>
        script((table) => [
          ...BUILTINS[table].map(({ hook, chain }) => `-C ${chain} -j ${chainText(hook)}`),
          ...asked(table, family),
          ...removalLines(inTable(table, change.removed), family),
          ...additionLines(inTable(table, change.added), family),
        ]),
      ).commit;
    },
    amended: (fingerprint, to, change, outputs) => {
      if (outputs.length < families.length || outputs.some(({ status }) => status !== 0))
        return undefined;
      if (!isEmpty(change)) {
        const asked = readQuestions(fingerprint);
        return fingerprintText(families, tables, (table, family) => [
          ...multisetDifference(
            asked(table, family),
            questions(table, change.removed, family),
            asItIs,
          ),
          ...questions(table, change.added, family),
        ]);
      }
      const differences = differencesOf(imageHere(to), readIptablesSave(families, outputs).image);
      const endpoints = tables.map((table) => imageName(table, chainText('endpoint')));
      return differences.every(({ chain }) => endpoints.includes(chain)) ? fingerprint : undefined;
    },
    remove: (found, before) =>
      load(families, kind, (family) =>
        tablesScript((table) => removeLines(found, before, family, table)),
      ),
    bootText: (ruleset) => ({
      ...Object.fromEntries(
        families.map((family) => [
          family === 'ipv6' ? 'base.v6' : 'base.v4',
          replacing(ruleset, empty, family) ?? '',
        ]),
      ),
      // Without REJECT, which nft before 1.0 spells differently.
      'base.hold': replaceText(inTable('mangle', ruleset)),
    }),
  };
}
