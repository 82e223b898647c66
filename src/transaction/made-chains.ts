import { BUILTINS, KNOWN_TABLES, type Table } from '../backend/iptables-tables.ts';
import type { Processes } from '../host/processes.ts';
import { field, type Json } from '../machine/json.ts';
import { fullName, hasRules, listChains, nameOf, placeOf } from '../machine/kernel-state.ts';
import { FAMILIES, type Family } from '../net/address.ts';
import type { BuiltinChain } from '../record/lock-record.ts';

/** Returns a table as nft names it. */
function textOf(family: Family, table: Table): string {
  return `${family === 'ipv6' ? 'ip6' : 'ip'} ${table}`;
}

const EVERY_TABLE = FAMILIES.flatMap((family) => KNOWN_TABLES.map((table) => ({ family, table })));

/** Lists every program's chains; undefined without nft, the only tool that shows them. */
function chainsHere(processes: Processes): readonly Json[] | undefined {
  const chains = processes.has('nft') ? listChains(processes) : '';
  return typeof chains === 'string' ? undefined : chains;
}

/**
 * Returns the missing builtin chains: iptables-nft creates them, and their table, with the first
 * rule. None without nft, the only tool that shows them.
 */
export function missingChains(processes: Processes): readonly BuiltinChain[] {
  const found = chainsHere(processes);
  if (found === undefined) return [];
  const there = new Set(found.map(fullName));
  return EVERY_TABLE.flatMap(({ family, table }) =>
    BUILTINS[table].flatMap(({ chain }) =>
      there.has(`${textOf(family, table)} ${chain}`) ? [] : [{ family, table, chain }],
    ),
  );
}

/** Removes those of these chains that no rule uses now, and their table with its last chain. */
export function removeMadeChains(processes: Processes, made: readonly BuiltinChain[]): void {
  const found = made.length === 0 ? undefined : chainsHere(processes);
  if (found === undefined) return;
  const nft = (script: string, changes?: 'rules') =>
    processes.run({
      program: 'nft',
      args: ['-f', '-'],
      stdin: `${script}\n`,
      ...(changes && { changes }),
    });
  for (const { family, table } of EVERY_TABLE) {
    const where = textOf(family, table);
    const own = made.filter((each) => each.family === family && each.table === table);
    const here = found.filter((chain) => placeOf(chain) === where);
    const gone = here.filter(
      (chain) =>
        own.some((each) => each.chain === nameOf(chain)) &&
        field(chain, 'policy') === 'accept' &&
        !hasRules(processes, chain),
    );
    if (gone.length === 0) continue;
    // After a failure the chains that stay are empty and accept everything, as if they were
    // missing.
    nft(gone.map((chain) => `delete chain ${fullName(chain)}`).join('\n'), 'rules');
    if (gone.length < here.length || own.length < BUILTINS[table].length) continue;
    // A delete would also remove other programs' sets. An unused table lists nothing but its name.
    const { stdout } = nft(`list table ${where}`);
    if (stdout.trim().split('\n').length === 2) nft(`delete table ${where}`, 'rules');
  }
}
