import type { ChainPolicy } from '../backend/backend.ts';
import { KNOWN_TABLES } from '../backend/iptables-tables.ts';
import { KillswitchError } from '../errors.ts';
import { PATHS } from '../host/paths.ts';
import type { Processes } from '../host/processes.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import { FAMILIES, type Family } from '../net/address.ts';
import { printable } from '../net/printable.ts';

const OURS = /^KILLSWITCH-/;

/** This product's part of one table of iptables-nft, as nft lists it. */
interface NativeTable {
  readonly family: Family;
  /** Family and table in nft's words: `ip filter`. */
  readonly where: string;
  readonly chains: readonly string[];
  /** Rules of other chains that jump to ours. */
  readonly jumps: readonly { readonly chain: string; readonly handle: number }[];
  /** Policies of the base chains. */
  readonly policies: ReadonlyMap<string, string>;
}

/** Returns the chains that a rule jumps to (libnftables-json(5), VERDICTS). */
function targets(rule: Json): readonly string[] {
  const expressions = field(rule, 'expr');
  if (!Array.isArray(expressions)) return [];
  const list: readonly Json[] = expressions;
  return list.flatMap((each) =>
    ['jump', 'goto'].flatMap((verdict) => {
      const target = field(field(each, verdict), 'target');
      return typeof target === 'string' ? [target] : [];
    }),
  );
}

function nativeTable(family: Family, table: string, objects: readonly Json[]): NativeTable {
  const chains = objects.flatMap((object) => field(object, 'chain') ?? []);
  const rules = objects.flatMap((object) => field(object, 'rule') ?? []);
  const names = chains.map((chain) => String(field(chain, 'name')));
  return {
    family,
    where: `${family === 'ipv6' ? 'ip6' : 'ip'} ${table}`,
    chains: names.filter((name) => OURS.test(name)),
    jumps: rules.flatMap((rule) => {
      const [chain, handle] = [field(rule, 'chain'), field(rule, 'handle')];
      const isJump =
        typeof chain === 'string' &&
        !OURS.test(chain) &&
        targets(rule).some((name) => OURS.test(name));
      return isJump && typeof handle === 'number' ? [{ chain, handle }] : [];
    }),
    policies: new Map(
      chains.flatMap((chain) => {
        const [name, policy] = [field(chain, 'name'), field(chain, 'policy')];
        return typeof name === 'string' && typeof policy === 'string' ? [[name, policy]] : [];
      }),
    ),
  };
}

/**
 * Reads the rules of iptables-nft in our tables.
 * @throws KillswitchError COMMAND when nft cannot read them either.
 */
function readTables(processes: Processes): readonly NativeTable[] {
  return FAMILIES.flatMap((family) =>
    KNOWN_TABLES.flatMap((table) => {
      const args = ['-j', 'list', 'table', family === 'ipv6' ? 'ip6' : 'ip', table];
      const { status, stdout, stderr } = processes.run({ program: 'nft', args });
      if (status !== 0 && stderr.includes('No such file or directory')) return [];
      const objects = field(status === 0 ? parseJson(stdout) : undefined, 'nftables');
      if (!Array.isArray(objects))
        throw new KillswitchError(
          'COMMAND',
          `neither iptables nor nft can read the table ${table}`,
          'Run "nft list ruleset" as root and fix the error that it prints.',
          [printable(stderr.trim().split('\n')[0] ?? '')],
        );
      return [nativeTable(family, table, objects)];
    }),
  );
}

/** Returns the policies that differ from those to restore. */
function changedPolicies(
  { family, where, policies }: NativeTable,
  before: readonly ChainPolicy[],
): readonly ChainPolicy[] {
  if (!where.endsWith(' filter')) return [];
  return before.filter((each) => {
    const now = policies.get(each.chain);
    return each.family === family && now !== undefined && now !== each.policy.toLowerCase();
  });
}

function removal(table: NativeTable, before: readonly ChainPolicy[]): readonly string[] {
  const { where, chains, jumps } = table;
  return [
    ...changedPolicies(table, before).map(
      ({ chain, policy }) => `add chain ${where} ${chain} { policy ${policy.toLowerCase()}; }`,
    ),
    ...jumps.map(({ chain, handle }) => `delete rule ${where} ${chain} handle ${handle}`),
    ...chains.map((name) => `flush chain ${where} ${name}`),
    ...chains.map((name) => `delete chain ${where} ${name}`),
  ];
}

function leftovers(
  tables: readonly NativeTable[],
  before: readonly ChainPolicy[],
): readonly string[] {
  return tables.flatMap((table) => [
    ...table.chains.map((name) => `table ${table.where}: the chain ${name} is still there`),
    ...table.jumps.map(
      ({ chain }) => `table ${table.where}: ${chain} still jumps to a chain of ours`,
    ),
    ...changedPolicies(table, before).map(
      ({ chain, policy }) => `table ${table.where}: the policy of ${chain} is still not ${policy}`,
    ),
  ]);
}

/**
 * Removes this product's rules from the tables of iptables-nft by nft, where iptables cannot read
 * them: one transaction, then a second look. `recorded` are the chain policies to restore. Without
 * them, every policy becomes ACCEPT where a chain of ours is found.
 * @throws KillswitchError COMMAND when nft cannot read the tables, VERIFY with a line for each
 * remaining thing.
 */
export function removeByNft(
  processes: Processes,
  recorded: readonly ChainPolicy[] | undefined,
): 'unchanged' | 'removed' {
  const found = readTables(processes);
  const isPresent = found.some(({ chains, jumps }) => chains.length + jumps.length > 0);
  const accepted = FAMILIES.flatMap((family) =>
    (['INPUT', 'FORWARD', 'OUTPUT'] as const).map((chain) => ({
      family,
      chain,
      policy: 'ACCEPT' as const,
    })),
  );
  const before = recorded ?? (isPresent ? accepted : []);
  const script = found.flatMap((table) => removal(table, before));
  if (script.length === 0) return 'unchanged';
  const { stderr } = processes.run({
    program: 'nft',
    args: ['-f', '-'],
    stdin: `${script.join('\n')}\n`,
    changes: 'rules',
  });
  const left = leftovers(readTables(processes), before);
  if (left.length === 0) return 'removed';
  throw new KillswitchError(
    'VERIFY',
    'not all rules could be removed',
    `Run the plain script: ${PATHS.library}/recover`,
    [...left, printable(stderr.trim().split('\n')[0] ?? '')],
  );
}
