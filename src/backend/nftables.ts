import { KillswitchError } from '../errors.ts';
import type { PortRange } from '../net/port.ts';
import { additions } from '../ruleset/additions.ts';
import { type Chain, type ChainName, isHook, isOrdered, type Match, type Rule, type Ruleset } from '../ruleset/ruleset.ts';
import { splitRefusal } from '../ruleset/split-refusal.ts';
import type { Backend, Command, Output, Survey, Transaction } from './backend.ts';
import type { Image, ImageRule } from './image.ts';
import { addressSet, readNftJson, TABLE } from './nftables-survey.ts';

/** One value as it is, several as an anonymous set in a stable order. */
function anyOf(values: readonly string[]): string {
  const [only, ...more] = values;
  return only !== undefined && more.length === 0 ? only : `{ ${[...values].sort().join(', ')} }`;
}

function rangeText({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

function hostText(text: string): string {
  return text.replace(/\/(32|128)$/, '');
}

function ownerText(owner: NonNullable<Match['owner']>): string {
  return owner.kind === 'uid' ? `meta skuid ${owner.uid}` : `meta mark 0x${owner.mark.toString(16).padStart(8, '0')}`;
}

/** A match in nft(8)'s words, spelled as `nft list` spells it. */
function matchText(match: Match): readonly string[] {
  const { family, endpoints, transports, fromPorts, toPorts } = match;
  const ip = family === 'ipv6' ? 'ip6' : 'ip';
  const hasAddress = match.from !== undefined || match.to !== undefined || endpoints !== undefined || match.icmp !== undefined;
  const transport = transports?.length === 1 ? transports[0] : undefined;
  const hasPorts = fromPorts !== undefined || toPorts !== undefined;
  const ports = transport ?? 'th';
  return [
    ...(match.in === undefined ? [] : [`iifname "${match.in}"`]),
    ...(match.notIn === undefined ? [] : [`iifname != "${match.notIn}"`]),
    ...(match.out === undefined ? [] : [`oifname "${match.out}"`]),
    ...(match.owner === undefined ? [] : [ownerText(match.owner)]),
    ...(family !== undefined && !hasAddress ? [`meta nfproto ${family}`] : []),
    ...(match.from === undefined ? [] : [`${ip} saddr ${anyOf(match.from.map(({ text }) => hostText(text)))}`]),
    ...(match.to === undefined ? [] : [`${ip} daddr ${anyOf(match.to.map(({ text }) => hostText(text)))}`]),
    ...(endpoints === undefined
      ? []
      : [
          `${ip} daddr . meta l4proto . th dport { ${endpoints
            .map(({ address, transport: each, port }) => `${address.text} . ${each} . ${port}`)
            .sort()
            .join(', ')} }`,
        ]),
    ...(transports === undefined || (transport !== undefined && hasPorts) ? [] : [`meta l4proto ${anyOf(transports)}`]),
    ...(fromPorts === undefined ? [] : [`${ports} sport ${anyOf(fromPorts.map(rangeText))}`]),
    ...(toPorts === undefined ? [] : [`${ports} dport ${anyOf(toPorts.map(rangeText))}`]),
    ...(match.icmp === undefined ? [] : [`${family === 'ipv6' ? 'icmpv6' : 'icmp'} type ${anyOf(match.icmp.map(String))}`]),
    ...(match.conntrack === undefined ? [] : [`ct state ${[...match.conntrack].sort().join(',')}`]),
  ];
}

/** A rule as one or two kernel rules: TCP is refused with a reset, everything else with an ICMP error. */
function ruleTexts({ id, match, verdict }: Rule): readonly string[] {
  const words = matchText(match);
  const line = (...last: readonly string[]) => [...words, ...last, `comment "${id}"`].join(' ');
  if (typeof verdict !== 'string' && 'log' in verdict)
    return [line(`limit rate ${verdict.log.count}/${verdict.log.unit}`, 'counter', `log prefix "killswitch ${id}: "`)];
  if (typeof verdict !== 'string') return [line('counter', `jump ${verdict.jump}`)];
  if (verdict !== 'reject') return [line('counter', verdict)];
  const { tcp, others } = splitRefusal(match);
  const refused = (part: Match, how: string) => [...matchText(part), 'counter', `reject with ${how}`, `comment "${id}"`].join(' ');
  return [...tcp.map((part) => refused(part, 'tcp reset')), ...others.map((part) => refused(part, 'icmpx port-unreachable'))];
}

function baseLine(name: ChainName): readonly string[] {
  return isHook(name) ? [`type filter hook ${name} priority filter; policy drop;`] : [];
}

function tableText(ruleset: Ruleset): string {
  const chains = ruleset.map(({ name, rules }) => {
    const lines = [...baseLine(name), ...rules.flatMap(ruleTexts)].map((line) => `    ${line}\n`);
    return `  chain ${name} {\n${lines.join('')}  }\n`;
  });
  return `table inet ${TABLE} {\n${chains.join('\n')}}\n`;
}

/** A script that ends in exactly this table whether or not one was there: `destroy` would need nft 1.0.7. */
function replaceText(ruleset: Ruleset): string {
  return `table inet ${TABLE}\ndelete table inet ${TABLE}\n${tableText(ruleset)}`;
}

function load(script: string): Transaction {
  const command = (...args: readonly string[]): Command => ({ program: 'nft', args: [...args, '-f', '-'], stdin: script });
  return { check: [command('--check')], commit: [command()] };
}

/** The spelling of `nft -j list` brought back to words, so that both sides compare as text. */
function imageRule(id: Rule['id'], line: string): ImageRule {
  const text = line
    .replace(/ comment "[^"]*"$/, '')
    .replace(/\{ ([^,{}]+) \}/g, '$1')
    .replace(/(ip6? [sd]addr) \{ ([^}]+) \}/g, (_, name: string, values: string) => `${name} ${addressSet(values.split(', '))}`)
    .replace(/limit rate \S+/, 'limit rate');
  return { id, text };
}

function imageOf(ruleset: Ruleset): Image {
  return ruleset.map(({ name, rules }: Chain) => ({
    family: undefined,
    name,
    policy: isHook(name) ? `drop on ${name}` : undefined,
    ordered: isOrdered(name),
    rules: rules.flatMap((rule) => ruleTexts(rule).map((line) => imageRule(rule.id, line))),
  }));
}

function surveyOf(outputs: readonly Output[]): Survey {
  const [output] = outputs;
  if (output?.status === 0) return { image: readNftJson(output.stdout), policies: [], present: true };
  // nft names a missing table in its one error line (nft 0.9 to 1.1: "No such file or directory").
  if (output?.stderr.includes('No such file or directory')) return { image: [], policies: [], present: false };
  throw new KillswitchError('COMMAND', 'nft could not list its rules', 'Run "nft list tables" as root and mend what it says.', [
    output?.stderr.trim() ?? '',
  ]);
}

/** Renders a ruleset as one nft script for a table of its own. Needs nft 1.0.6 or newer: older ones cannot read a script from a socket. */
export const nftables: Backend = {
  name: 'nftables',
  look: [{ program: 'nft', args: ['-j', 'list', 'table', 'inet', TABLE] }],
  survey: surveyOf,
  image: imageOf,
  replace: (ruleset) => load(replaceText(ruleset)),
  add: (from, to) => {
    const added = additions(from, to);
    if (added === undefined || added.length === 0) return undefined;
    const lines = [
      ...added.filter(({ created }) => created).map(({ name }) => `create chain inet ${TABLE} ${name}`),
      ...added.flatMap(({ name, rules }) => rules.flatMap(ruleTexts).map((line) => `add rule inet ${TABLE} ${name} ${line}`)),
    ];
    return load(`${lines.join('\n')}\n`);
  },
  remove: (found) => (found.present ? load(`delete table inet ${TABLE}\n`) : { check: [], commit: [] }),
  bootText: (ruleset) => ({ 'base.nft': replaceText(ruleset) }),
};
