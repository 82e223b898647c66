import type { Command, Output, Program } from '../host/command.ts';
import type { Family } from '../net/address.ts';
import { BUILTINS, CHAIN_PREFIX, KNOWN_TABLES, type Table } from './iptables-tables.ts';

interface Place {
  readonly table: Table;
  readonly chain: string;
}

/** Returns our present chains, and the builtin chains that lead to them, table by table. */
function places(there: readonly string[], family: Family): readonly Place[] {
  return KNOWN_TABLES.flatMap((table) => {
    const where = `${family === 'ipv6' ? 'ip6' : 'ip'} ${table} `;
    return there
      .filter((each) => each.startsWith(where))
      .map((each) => ({ table, chain: each.slice(where.length) }))
      .filter(
        ({ chain }) =>
          chain.startsWith(CHAIN_PREFIX) || BUILTINS[table].some((each) => each.chain === chain),
      );
  });
}

/**
 * Lists only those chains, with counters: iptables-save always reads every rule of every table. A
 * listing (`-S`) in a restore script changes nothing (iptables 1.8, iptables/xtables.c).
 */
function command(program: Program, asked: readonly Place[]): Command {
  const lines = KNOWN_TABLES.flatMap((table) => [
    `*${table}`,
    ...asked.filter((each) => each.table === table).map(({ chain }) => `-v -S ${chain}`),
    'COMMIT',
  ]);
  return { program, args: ['--noflush'], stdin: `${lines.join('\n')}\n` };
}

/**
 * Returns the answer in iptables-save's format, with one COMMIT for all tables; undefined unless it
 * has each chain in its place.
 */
function asSave(asked: readonly Place[], { status, stdout }: Output): string | undefined {
  const lines: string[] = [];
  let next = 0;
  for (const line of stdout.trim().split('\n')) {
    const [, chain, policy = '-'] = /^-[NP] (\S+)(?: (\S+))?/.exec(line) ?? [];
    const [, rule, packets, bytes, verdict = ''] =
      /^(-A .*) -c (\d+) (\d+)( -[jg] .*)?$/.exec(line) ?? [];
    if (chain !== undefined) {
      const place = asked[next++];
      if (place?.chain !== chain) return undefined;
      if (asked[next - 2]?.table !== place.table) lines.push(`*${place.table}`);
      lines.push(`:${chain} ${policy} [0:0]`);
    } else if (rule !== undefined) lines.push(`[${packets}:${bytes}] ${rule}${verdict}`);
    else return undefined;
  }
  return status === 0 && next === asked.length ? [...lines, 'COMMIT', ''].join('\n') : undefined;
}

/**
 * Reads our part of the tables of iptables-nft, in iptables-save's format. Its time does not grow
 * with others' rules. Undefined on anything unexpected.
 * @param there Every program's chains, in nft's words: `ip filter OUTPUT`.
 */
export function shortLook(
  run: (command: Command) => Output,
  programs: readonly (readonly [family: Family, restore: Program])[],
  there: readonly string[],
): readonly Output[] | undefined {
  const outputs = programs.flatMap(([family, program]) => {
    const asked = places(there, family);
    const stdout = asked.length === 0 ? '' : asSave(asked, run(command(program, asked)));
    return stdout === undefined ? [] : [{ status: 0, stdout, stderr: '' }];
  });
  return outputs.length === programs.length ? outputs : undefined;
}
