import { KillswitchError } from '../errors.ts';
import type { Family } from '../net/address.ts';
import { isOrdered } from '../ruleset/ruleset.ts';
import type { ChainPolicy, Output, Survey } from './backend.ts';
import { type ImageChain, type ImageRule, ruleId } from './image.ts';

/** A rule as it compares: the kernel turns a rate into a period and back, so a limit's number is not kept. */
export function comparable(line: string): string {
  return line.replace(/ -m limit --limit \S+/, ' -m limit');
}

const BUILTIN: readonly ChainPolicy['chain'][] = ['INPUT', 'FORWARD', 'OUTPUT'];
const OUR_JUMP = /^-j KILLSWITCH-(INPUT|FORWARD|OUTPUT)$/;

interface Table {
  readonly policies: Map<string, string>;
  readonly rules: Map<string, ImageRule[]>;
}

/** The filter table of `iptables-save -c`: `:CHAIN POLICY [p:b]` and `[p:b] -A CHAIN …` lines. */
function readTable(text: string): Table {
  const policies = new Map<string, string>();
  const rules = new Map<string, ImageRule[]>();
  for (const line of text.split('\n')) {
    const [, declared, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (declared !== undefined && policy !== undefined) {
      policies.set(declared, policy);
      rules.set(declared, []);
    }
    const [, packets, bytes, chain, rest] = /^\[(\d+):(\d+)\] -A (\S+) ?(.*)$/.exec(line) ?? [];
    if (chain === undefined || rest === undefined) continue;
    const [, comment] = / --comment "?([^" ]+)/.exec(` ${rest}`) ?? [];
    rules.get(chain)?.push({ id: ruleId(comment), text: comparable(rest), packets: Number(packets), bytes: Number(bytes) });
  }
  return { policies, rules };
}

/**
 * What stands before our jump, our jump, and any second one. Rules of others below it are not our business; those above it can accept
 * what we would drop.
 */
function builtinRules(rules: readonly ImageRule[]): readonly ImageRule[] {
  const first = rules.findIndex(({ text }) => OUR_JUMP.test(text));
  if (first < 0) return [];
  return [...rules.slice(0, first + 1), ...rules.slice(first + 1).filter(({ text }) => OUR_JUMP.test(text))];
}

function familyImage(family: Family, { policies, rules }: Table): readonly ImageChain[] {
  const builtin = BUILTIN.map((name) => ({
    family,
    name,
    policy: policies.get(name),
    ordered: true,
    rules: builtinRules(rules.get(name) ?? []),
  }));
  const ours = [...policies.keys()].filter((name) => name.startsWith('KILLSWITCH-'));
  return [
    ...builtin,
    ...ours.map((name) => ({
      family,
      name,
      policy: undefined,
      ordered: isOrdered(name.replace('KILLSWITCH-', '').toLowerCase()),
      rules: rules.get(name) ?? [],
    })),
  ];
}

/**
 * The outputs of iptables-save and ip6tables-save, in the order of `families`, as one survey.
 * @throws KillswitchError COMMAND when one of them failed.
 */
export function readIptablesSave(families: readonly Family[], outputs: readonly Output[]): Survey {
  const tables = families.map((family, index) => {
    const output = outputs[index];
    if (output?.status !== 0)
      throw new KillswitchError(
        'COMMAND',
        `the ${family} rules could not be read`,
        'Run "iptables-save" and "ip6tables-save" as root and mend what they say.',
        [output?.stderr.trim() ?? ''],
      );
    return { family, table: readTable(output.stdout) };
  });
  const policies = tables.flatMap(({ family, table }) =>
    BUILTIN.map((chain): ChainPolicy => ({ family, chain, policy: table.policies.get(chain) === 'DROP' ? 'DROP' : 'ACCEPT' })),
  );
  const image = tables.flatMap(({ family, table }) => familyImage(family, table));
  const present = image.some(({ name, rules }) => name.startsWith('KILLSWITCH-') || rules.some(({ text }) => OUR_JUMP.test(text)));
  return { image, policies, present };
}
