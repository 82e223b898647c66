import { KillswitchError } from '../errors.ts';
import type { Command, Output } from '../host/command.ts';
import { FAMILIES, type Family } from '../net/address.ts';
import { additions } from '../ruleset/additions.ts';
import type { Amendment } from '../ruleset/amendment.ts';
import {
  answersEarly,
  type Chain,
  type ChainName,
  isHook,
  isOfFirstLook,
  isOrdered,
  type Rule,
  type Ruleset,
} from '../ruleset/ruleset.ts';
import type { Backend, Survey, Transaction } from './backend.ts';
import type { Image, ImageRule } from './image.ts';
import {
  additionLines,
  amendCommand,
  amendedListing,
  LIST,
  spelled,
} from './nftables-amendment.ts';
import {
  askedSet,
  elementsText,
  hasSets,
  ONE_BRIDGE,
  ruleTexts,
  setName,
} from './nftables-rule.ts';
import { addressSet, readNftJson, TABLE } from './nftables-survey.ts';

/** After source NAT (100, linux/netfilter_ipv4.h): the packet has its final source. */
const FINAL_PRIORITY = 200;

function baseLine(name: ChainName): readonly string[] {
  if (!isHook(name)) return [];
  return [
    `type filter hook ${name} priority ${name === 'postrouting' ? FINAL_PRIORITY : 'filter'}; policy drop;`,
  ];
}

/**
 * Returns the chains of our table. Leaves out a first look that tells no program anything: the
 * final look decides.
 */
function inTable(ruleset: Ruleset): Ruleset {
  return answersEarly(ruleset) ? ruleset : ruleset.filter(({ name }) => !isOfFirstLook(name));
}

/**
 * Bridges that frames crossed since the rules were loaded. When it is full, frames of further
 * bridges are dropped.
 */
const BRIDGES_SET = `  set ${ONE_BRIDGE} {\n    type iface_index . iface_index\n    size 4096\n    flags dynamic\n  }\n`;

/**
 * Questions to the LAN, one entry per socket. When it is full, further questions get no answers.
 */
function askedText(family: Family): string {
  return `  set ${askedSet(family)} {\n    type iface_index . ${family}_addr . inet_service\n    size 4096\n    flags dynamic,timeout\n  }\n`;
}

function setTexts({ name, rules }: Chain): readonly string[] {
  if (name === 'postrouting')
    return FAMILIES.filter((family) =>
      rules.some(({ match }) => match.toMany === true && match.family === family),
    ).map(askedText);
  if (name === 'forward')
    return rules.some(({ match }) => match.bridged !== undefined) ? [BRIDGES_SET] : [];
  if (!hasSets(name)) return [];
  return rules.flatMap(({ match: { family, endpoints } }) => {
    if (family === undefined || endpoints === undefined) return [];
    const type = `type ${family}_addr . inet_proto . inet_service`;
    return [
      `  set ${setName(family)} {\n    ${type}\n    elements = { ${elementsText(endpoints)} }\n  }\n`,
    ];
  });
}

function tableText(whole: Ruleset): string {
  const ruleset = inTable(whole);
  const chains = ruleset.map(({ name, rules }) => {
    const lines = [
      ...baseLine(name),
      ...rules.flatMap((rule) => ruleTexts(rule, hasSets(name))),
    ].map((line) => `    ${line}\n`);
    return `  chain ${name} {\n${lines.join('')}  }\n`;
  });
  return `table inet ${TABLE} {\n${[...ruleset.flatMap(setTexts), ...chains].join('\n')}}\n`;
}

/**
 * Returns a script that results in exactly this table, whether or not one exists: `destroy` would
 * need nft 1.0.7.
 */
export function replaceText(ruleset: Ruleset): string {
  return `table inet ${TABLE}\ndelete table inet ${TABLE}\n${tableText(ruleset)}`;
}

/** Returns an amendment's changes in our table; it leads to `to`. */
function ofTable({ added, removed }: Amendment, to: Ruleset): Amendment {
  const kept = <Any extends Chain>(chains: readonly Any[]) =>
    answersEarly(to) ? chains : chains.filter(({ name }) => !isOfFirstLook(name));
  return { added: kept(added), removed: kept(removed) };
}

function load(script: string): Transaction {
  const command = (...args: readonly string[]): Command => ({
    program: 'nft',
    args: [...args, '-f', '-'],
    stdin: script,
  });
  return { check: [command('--check')], commit: [command()] };
}

/** Turns the spelling of `nft -j list` back into words, so that both sides compare as text. */
function imageRule(id: Rule['id'], line: string): ImageRule {
  const text = line
    .replace(/ comment "[^"]*"$/, '')
    .replace(/\{ ([^,{}]+) \}/g, '$1')
    .replace(
      /(ip6? [sd]addr) \{ ([^}]+) \}/g,
      (_, name: string, values: string) => `${name} ${addressSet(values.split(', '))}`,
    )
    .replace(/limit rate \S+/, 'limit rate')
    .replace(/(?<= \. )udp (?=[sd]port)/, 'th ');
  return { id, text };
}

function imageOf(ruleset: Ruleset): Image {
  return inTable(ruleset).map(({ name, rules }: Chain) => ({
    family: undefined,
    name,
    policy: isHook(name)
      ? `drop on ${name}${name === 'postrouting' ? ` at priority ${FINAL_PRIORITY}` : ''}`
      : undefined,
    ordered: isOrdered(name),
    rules: rules.flatMap((rule) => ruleTexts(rule).map((line) => imageRule(rule.id, line))),
  }));
}

function surveyOf(outputs: readonly Output[]): Survey {
  const [output] = outputs;
  if (output?.status === 0)
    return { image: readNftJson(output.stdout), policies: [], present: true };
  // nft names a missing table in its one error line (nft 0.9 to 1.1: "No such file or directory").
  if (output?.stderr.includes('No such file or directory'))
    return { image: [], policies: [], present: false };
  throw new KillswitchError(
    'COMMAND',
    'nft could not list its rules',
    'Run "nft list tables" as root and fix the error that it prints.',
    [output?.stderr.trim() ?? ''],
  );
}

/** Renders a ruleset as one nft script for a table of its own. nft 0.9.8 and newer read it. */
export const nftables: Backend = {
  name: 'nftables',
  look: [{ program: 'nft', args: ['-j', 'list', 'table', 'inet', TABLE] }],
  restores: [],
  survey: surveyOf,
  image: imageOf,
  replace: (ruleset) => load(replaceText(ruleset)),
  add: (from, to) => {
    const added = additions(inTable(from), inTable(to));
    if (added === undefined || added.length === 0) return undefined;
    return load(`${additionLines(added).join('\n')}\n`);
  },
  fingerprint: [LIST],
  fingerprintOf: (outputs) => outputs.map(({ stdout }) => spelled(stdout)).join(''),
  amend: (change, _fingerprint, to) => [amendCommand(inTable(to), ofTable(change, to))],
  amended: (fingerprint, to, change, [output]) =>
    output === undefined
      ? undefined
      : amendedListing(fingerprint, inTable(to), ofTable(change, to), output),
  remove: (found) =>
    found.present ? load(`delete table inet ${TABLE}\n`) : { check: [], commit: [] },
  bootText: (ruleset) => ({ 'base.nft': replaceText(ruleset) }),
};
