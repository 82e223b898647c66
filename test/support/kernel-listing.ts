import type { Machine } from '../hooks/installed-machine.ts';

/** The kernel's listing, read without any code of the product. */
export interface Listing {
  /**
   * Tables that hold something of ours: `inet ovpn_killswitch`, `ip filter`, `ipv6 filter
   * (legacy)`.
   */
  readonly ours: readonly string[];
  /** Base chains of others whose policy drops: `ip filter FORWARD`. */
  readonly drops: readonly string[];
  /** Families in which a packet that leaves meets a policy that drops and a chain of ours. */
  readonly locked: readonly ('ipv4' | 'ipv6')[];
  /** All that was listed, without counters. */
  readonly text: string;
}

/**
 * "nft list ruleset" is read line by line, and iptables-save of the legacy kind where the kernel
 * has its tables. That of the nft kind shows the same tables as nft, and is compared by `text`.
 */
export function readKernel(it: Machine): Listing {
  const [nft = '', four = '', six = '', legacyFour = '', legacySix = ''] = it
    .sh(
      `nft -s list ruleset; echo ====; iptables-save; echo ====; ip6tables-save; echo ====
      [ -z "$(cat /proc/net/ip_tables_names)" ] || iptables-legacy-save; echo ====
      [ -z "$(cat /proc/net/ip6_tables_names)" ] || ip6tables-legacy-save`,
    )
    .stdout.split('====\n');
  const ours = new Set<string>();
  const drops: string[] = [];
  const locked = new Set<'ipv4' | 'ipv6'>();
  let [table, chain] = ['', ''];
  for (const line of nft.split('\n')) {
    const [, tableName] = /^table (\S+ \S+) \{/.exec(line) ?? [];
    if (tableName !== undefined) {
      table = tableName;
      if (table === 'inet ovpn_killswitch') ours.add(table);
    }
    const [, chainName] = /^\tchain (\S+) \{/.exec(line) ?? [];
    if (chainName !== undefined) {
      chain = chainName;
    } else if (/^\t\t\S/.test(line) && chain.startsWith('KILLSWITCH-')) ours.add(table);
    const [, hook] = /hook (\w+) .*policy drop;/.exec(line) ?? [];
    if (hook === undefined) continue;
    if (table === 'inet ovpn_killswitch') {
      if (hook === 'postrouting') for (const each of ['ipv4', 'ipv6'] as const) locked.add(each);
      continue;
    }
    drops.push(`${table} ${chain}`);
  }
  const saves = [
    ['ipv4', four],
    ['ipv6', six],
    ['ipv4', legacyFour],
    ['ipv6', legacySix],
  ] as const;
  for (const [index, [family, text]] of saves.entries()) {
    if (/^:OUTPUT DROP/m.test(text) && /^-A OUTPUT -j KILLSWITCH-OUTPUT$/m.test(text))
      locked.add(family);
    if (/^-A KILLSWITCH-/m.test(text))
      ours.add(`${family} of ${index < 2 ? 'iptables' : 'iptables-legacy'}`);
    if (index >= 2)
      for (const [, name] of text.matchAll(/^:(INPUT|FORWARD|OUTPUT) DROP/gm))
        drops.push(`${family} filter ${name} (legacy)`);
  }
  const text = [nft, four, six, legacyFour, legacySix]
    .join('\n')
    .replace(/^#.*$/gm, '')
    .replace(/\[\d+:\d+\]/g, '');
  return { ours: [...ours], drops, locked: [...locked], text };
}
