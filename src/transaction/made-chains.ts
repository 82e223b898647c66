import type { Host } from '../host/host.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import type { BuiltinChain } from '../machine/lock-record.ts';
import { FAMILIES, type Family } from '../net/address.ts';

const BUILTIN: readonly BuiltinChain['chain'][] = ['INPUT', 'FORWARD', 'OUTPUT'];

function tableOf(family: Family): readonly string[] {
  return [family === 'ipv6' ? 'ip6' : 'ip', 'filter'];
}

interface FilterTable {
  readonly chains: readonly string[];
  /** Builtin chains without rules and with the policy accept. */
  readonly unused: readonly string[];
  /** Whether the table holds anything besides its chains and their rules. */
  readonly sets: boolean;
}

/** The table of iptables-nft in one family; undefined when there is none. */
function readFilterTable(host: Host, family: Family): FilterTable | undefined {
  const { status, stdout } = host.run({ program: 'nft', args: ['-j', 'list', 'table', ...tableOf(family)] });
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

/** The builtin chains that are not there: iptables-nft makes them, and their table, with the first rule. None without nft, which alone sees. */
export function missingChains(host: Host): readonly BuiltinChain[] {
  if (!host.has('nft')) return [];
  return FAMILIES.flatMap((family) => {
    const table = readFilterTable(host, family);
    return BUILTIN.filter((chain) => table?.chains.includes(chain) !== true).map((chain) => ({ family, chain }));
  });
}

/** Takes away those of these chains that nobody uses by now, and with the last one their table. */
export function removeMadeChains(host: Host, made: readonly BuiltinChain[]): void {
  if (made.length === 0 || !host.has('nft')) return;
  for (const family of FAMILIES) {
    const table = readFilterTable(host, family);
    const gone = made.filter((each) => each.family === family && table?.unused.includes(each.chain) === true).map(({ chain }) => chain);
    if (table === undefined || gone.length === 0) continue;
    const where = tableOf(family).join(' ');
    const whole =
      !table.sets && gone.length === table.chains.length && made.filter((each) => each.family === family).length === BUILTIN.length;
    const stdin = whole ? `delete table ${where}\n` : gone.map((chain) => `delete chain ${where} ${chain}\n`).join('');
    // What remains when this fails is empty and accepts everything, as if it were not there.
    host.run({ program: 'nft', args: ['-f', '-'], stdin });
  }
}
