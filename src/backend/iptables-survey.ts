import { KillswitchError } from '../errors.ts';
import type { Output } from '../host/command.ts';
import type { Family } from '../net/address.ts';
import { isOrdered } from '../ruleset/ruleset.ts';
import type { ChainPolicy, Survey } from './backend.ts';
import { type ImageChain, type ImageRule, ruleId } from './image.ts';
import { BUILTINS, CHAIN_PREFIX, KNOWN_TABLES, type Table } from './iptables-tables.ts';

/**
 * Returns a rule in comparable form. Drops a limit's number: the kernel turns a rate into a period
 * and back.
 */
export function comparable(line: string): string {
  return line.replace(/ -m limit --limit \S+/, ' -m limit');
}

const BUILTIN: readonly ChainPolicy['chain'][] = ['INPUT', 'FORWARD', 'OUTPUT'];
const OUR_JUMP = /^-j KILLSWITCH-(INPUT|FORWARD|OUTPUT|POSTROUTING)$/;

/** Returns a chain's name in an image: as in iptables for filter, with its table for others. */
export function imageName(table: Table, chain: string): string {
  return table === 'filter' ? chain : `${table} ${chain}`;
}

/** Returns the chains found in one table, by their names in iptables. */
export function surveyed({ image }: Survey, family: Family, table: Table): readonly ImageChain[] {
  return image.flatMap((chain) => {
    const name = chain.name.split(' ').at(-1) ?? '';
    return chain.family === family && chain.name === imageName(table, name)
      ? [{ ...chain, name }]
      : [];
  });
}

interface Listing {
  readonly policies: Map<string, string>;
  readonly rules: Map<string, ImageRule[]>;
}

/**
 * Parses one table of `iptables-save -c`: `:CHAIN POLICY [p:b]` and `[p:b] -A CHAIN …` lines after
 * its heading.
 */
function readTable(text: string, table: Table): Listing {
  const policies = new Map<string, string>();
  const rules = new Map<string, ImageRule[]>();
  let heading = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) heading = line;
    if (heading !== `*${table}`) continue;
    const [, declared, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (declared !== undefined && policy !== undefined) {
      policies.set(declared, policy);
      rules.set(declared, []);
    }
    const [, packets, bytes, chain, rest] = /^\[(\d+):(\d+)\] -A (\S+) ?(.*)$/.exec(line) ?? [];
    if (chain === undefined || rest === undefined) continue;
    const [, comment] = / --comment "?([^" ]+)/.exec(` ${rest}`) ?? [];
    rules.get(chain)?.push({
      id: ruleId(comment),
      text: comparable(rest),
      packets: Number(packets),
      bytes: Number(bytes),
    });
  }
  return { policies, rules };
}

/**
 * Returns the rules above our jump, our jump, and any second one. Others' rules below it do not
 * matter, while those above it can accept packets that ours would drop.
 */
function builtinRules(rules: readonly ImageRule[]): readonly ImageRule[] {
  const first = rules.findIndex(({ text }) => OUR_JUMP.test(text));
  if (first < 0) return [];
  return [
    ...rules.slice(0, first + 1),
    ...rules.slice(first + 1).filter(({ text }) => OUR_JUMP.test(text)),
  ];
}

function tableImage(
  family: Family,
  table: Table,
  { policies, rules }: Listing,
): readonly ImageChain[] {
  const builtin = BUILTINS[table].map(({ chain: name }) => ({
    family,
    name: imageName(table, name),
    // A missing builtin chain accepts.
    policy: table === 'filter' && policies.size > 0 ? (policies.get(name) ?? 'ACCEPT') : undefined,
    ordered: true,
    rules: builtinRules(rules.get(name) ?? []),
  }));
  const ours = [...policies.keys()].filter((name) => name.startsWith(CHAIN_PREFIX));
  const chains = ours.map((name) => ({
    family,
    name: imageName(table, name),
    policy: undefined,
    ordered: isOrdered(name.replace(CHAIN_PREFIX, '').toLowerCase()),
    rules: rules.get(name) ?? [],
  }));
  // A second wall that was never built is not reported as an extra chain.
  return table === 'filter' ||
    ours.length > 0 ||
    builtin.some(({ rules: found }) => found.length > 0)
    ? [...builtin, ...chains]
    : [];
}

/**
 * Says why a listing does not show our tables; undefined when it does. iptables-nft that meets
 * another program's native rule stops in the middle of the listing. Or it names the table in a
 * comment and exits with 0 (iptables 1.8, iptables/xtables-save.c).
 */
export function unreadable({ status, stdout, stderr }: Output): string | undefined {
  if (status !== 0) return stderr.trim().split('\n')[0] ?? '';
  for (const table of KNOWN_TABLES) {
    const [comment] = new RegExp(`^# Table .${table}' is incompatible.*$`, 'm').exec(stdout) ?? [];
    if (comment !== undefined) return comment;
    const begin = `\n${stdout}`.indexOf(`\n*${table}\n`);
    if (begin >= 0 && !stdout.includes('\nCOMMIT', begin))
      return `the listing ends inside the table ${table}`;
  }
  return undefined;
}

/**
 * Reads the outputs of iptables-save and ip6tables-save, in the order of `families`, as one survey.
 * @throws KillswitchError COMMAND when one of them failed, or could not read one of our tables.
 */
export function readIptablesSave(families: readonly Family[], outputs: readonly Output[]): Survey {
  const listings = families.map((family, index) => {
    const output = outputs[index] ?? { status: null, stdout: '', stderr: '' };
    const why = unreadable(output);
    if (why !== undefined)
      throw new KillswitchError(
        'COMMAND',
        `iptables cannot read the ${family} rules`,
        'Set KILLSWITCH_BACKEND=nftables and run "ovpn-killswitch lock": nft reads what iptables cannot. "nft list ruleset" shows it.',
        [why],
      );
    return { family, text: output.stdout };
  });
  const policies = listings.flatMap(({ family, text }) => {
    const filter = readTable(text, 'filter');
    return BUILTIN.map(
      (chain): ChainPolicy => ({
        family,
        chain,
        policy: filter.policies.get(chain) === 'DROP' ? 'DROP' : 'ACCEPT',
      }),
    );
  });
  const image = listings.flatMap(({ family, text }) =>
    KNOWN_TABLES.flatMap((table) => tableImage(family, table, readTable(text, table))),
  );
  const present = image.some(
    ({ name, rules }) =>
      name.includes(CHAIN_PREFIX) || rules.some(({ text }) => OUR_JUMP.test(text)),
  );
  return { image, policies, present };
}
