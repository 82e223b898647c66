import { BUILTINS, KNOWN_TABLES, type Table } from '../backend/iptables-tables.ts';
import type { Host } from '../host/host.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import type { BuiltinChain } from '../machine/lock-record.ts';
import { FAMILIES, type Family } from '../net/address.ts';

function nameOf(family: Family, table: Table): readonly string[] {
  return [family === 'ipv6' ? 'ip6' : 'ip', table];
}

const EVERY_TABLE = FAMILIES.flatMap((family) => KNOWN_TABLES.map((table) => ({ family, table })));

interface FoundTable {
  readonly chains: readonly string[];
  /** Builtin chains without rules and with the policy accept. */
  readonly unused: readonly string[];
  /** Whether the table holds anything besides its chains and their rules. */
  readonly sets: boolean;
}

/** A table of iptables-nft in one family; undefined when there is none. */
function readTable(host: Host, family: Family, name: Table): FoundTable | undefined {
  const { status, stdout } = host.run({
    program: 'nft',
    args: ['-j', 'list', 'table', ...nameOf(family, name)],
  });
  const list = field(status === 0 ? parseJson(stdout) : undefined, 'nftables');
  if (!Array.isArray(list)) return undefined;
  const objects: readonly Json[] = list;
  const known = ['metainfo', 'table', 'chain', 'rule'];
  const chains = objects.flatMap((object) => field(object, 'chain') ?? []);
  const used = new Set(objects.map((object) => field(field(object, 'rule'), 'chain')));
  const names = chains.map((chain) => String(field(chain, 'name')));
  return {
    chains: names,
    unused: chains
      .filter((chain) => field(chain, 'policy') === 'accept')
      .flatMap((chain) => {
        const name = field(chain, 'name');
        return typeof name === 'string' && !used.has(name) ? [name] : [];
      }),
    sets: objects.some((object) => !known.some((name) => field(object, name) !== undefined)),
  };
}

/**
 * The builtin chains that are not there: iptables-nft makes them, and their table, with the first
 * rule. None without nft, which alone sees.
 */
export function missingChains(host: Host): readonly BuiltinChain[] {
  if (!host.has('nft')) return [];
  return EVERY_TABLE.flatMap(({ family, table }) => {
    const found = readTable(host, family, table);
    return BUILTINS[table].flatMap(({ chain }) =>
      found?.chains.includes(chain) === true ? [] : [{ family, table, chain }],
    );
  });
}

/** Takes away those of these chains that nobody uses by now, and with the last one their table. */
export function removeMadeChains(host: Host, made: readonly BuiltinChain[]): void {
  if (made.length === 0 || !host.has('nft')) return;
  for (const { family, table } of EVERY_TABLE) {
    const own = made.filter((each) => each.family === family && each.table === table);
    const found = own.length === 0 ? undefined : readTable(host, family, table);
    const gone = own
      .map(({ chain }) => chain)
      .filter((chain) => found?.unused.includes(chain) === true);
    if (found === undefined || gone.length === 0) continue;
    const where = nameOf(family, table).join(' ');
    const whole =
      !found.sets && gone.length === found.chains.length && own.length === BUILTINS[table].length;
    const stdin = whole
      ? `delete table ${where}\n`
      : gone.map((chain) => `delete chain ${where} ${chain}\n`).join('');
    // What remains when this fails is empty and accepts everything, as if it were not there.
    host.run({ program: 'nft', args: ['-f', '-'], stdin });
  }
}
