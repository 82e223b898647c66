import { unreadable } from '../../backend/iptables-survey.ts';
import type { Host } from '../../host/host.ts';
import type { Processes } from '../../host/processes.ts';
import { hasLegacyTables } from '../../machine/backend-facts.ts';
import { field } from '../../machine/json.ts';
import { fullName, listChains } from '../../machine/kernel-state.ts';
import { firstPrintableLine, printable } from '../../net/printable.ts';

/** A rule that leads packets of this machine another way after their first route. */
export interface Reroute {
  /** The rule, escaped: a routing rule, or the chain and its rule. */
  readonly what: string;
  /** The command that shows it. */
  readonly show: string;
}

/** The most that are named of a kind. */
const MOST = 3;

/** Reads routing rules by mark or by account (ip-rule(8)). */
function routingRules(processes: Processes): readonly Reroute[] {
  return (['-4', '-6'] as const).flatMap((family) => {
    const show = `ip ${family} rule show`;
    return processes
      .run({ program: 'ip', args: [family, 'rule', 'show'] })
      .stdout.split('\n')
      .filter((line) => /\b(fwmark|uidrange)\b/.test(line))
      .slice(0, MOST)
      .map((line) => ({
        what: `the routing rule "${printable(line.replace(/\s+/g, ' ').trim())}"`,
        show: `sudo ${show}`,
      }));
  });
}

/**
 * Reads rules in nft chains that reroute the packets they change, and rules that change
 * destinations on the way out. Includes those of iptables-nft.
 */
function nftRules(processes: Processes): readonly Reroute[] {
  const chains = processes.has('nft') ? listChains(processes) : '';
  if (typeof chains === 'string') return [];
  return chains.flatMap((chain) => {
    const type = field(chain, 'type');
    if (field(chain, 'hook') !== 'output' || (type !== 'route' && type !== 'nat')) return [];
    const args = ['list', 'chain', ...fullName(chain).split(' ')];
    const changes =
      type === 'route'
        ? /\bset\b|target "?(CONN)?MARK/
        : /\b(dnat|redirect)\b|target "?(DNAT|REDIRECT)/i;
    return processes
      .run({ program: 'nft', args })
      .stdout.split('\n')
      .filter((line) => /^\t\t(?!type )/.test(line) && changes.test(line))
      .slice(0, MOST)
      .map((line) => ({
        what: `the rule "${printable(line.trim())}" in the chain "${fullName(chain)}"`,
        show: `sudo nft list ruleset`,
      }));
  });
}

const LEGACY = [
  { table: 'mangle', changes: /^-A OUTPUT .*-j (CONN)?MARK/ },
  { table: 'nat', changes: /^-A OUTPUT .*-j (DNAT|REDIRECT)/ },
] as const;

/** Reads the same in iptables-legacy. */
function legacyRules(host: Host): readonly Reroute[] {
  if (!hasLegacyTables(host)) return [];
  return (['iptables', 'ip6tables'] as const).flatMap((tool) => {
    const named = `${tool}-legacy-save` as const;
    const program = host.has(named) ? named : (`${tool}-save` as const);
    return LEGACY.flatMap(({ table, changes }) =>
      host
        .run({ program, args: ['-t', table] })
        .stdout.split('\n')
        .filter((line) => changes.test(line))
        .slice(0, MOST)
        .map((line) => ({
          what: `the rule "${printable(line)}" in the table ${table}`,
          show: `sudo ${program} -t ${table}`,
        })),
    );
  });
}

/** Reads all rules that reroute packets of this machine. */
export function readReroutes(host: Host): readonly Reroute[] {
  return [...routingRules(host), ...nftRules(host), ...legacyRules(host)];
}

/** Lists tools of iptables that cannot read their own tables, with their messages, escaped. */
export function readUnreadable(processes: Processes): readonly string[] {
  return (['iptables-save', 'ip6tables-save'] as const)
    .filter((program) => processes.has(program))
    .flatMap((program) => {
      const why = unreadable(processes.run({ program, args: [] }));
      return why === undefined
        ? []
        : [`${program} cannot read its tables: ${firstPrintableLine(why)}`];
    });
}
