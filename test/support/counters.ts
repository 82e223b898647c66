import type { Survey } from '../../src/backend/backend.ts';
import { chainText } from '../../src/backend/iptables.ts';
import { imageName } from '../../src/backend/iptables-survey.ts';
import type { Table } from '../../src/backend/iptables-tables.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { evaluate } from '../../src/ruleset/evaluate.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import { answersEarly, type Hook, type Ruleset } from '../../src/ruleset/ruleset.ts';

/** Packets that each reason decided about: `output: endpoint` to a number. */
export type Counters = Readonly<Record<string, number>>;

/** A jump, a log or what is remembered does not decide. */
const UNDECIDED = /(^| )(jump |log prefix|-j KILLSWITCH-|-j LOG |update @asked)/;

/** The counters of a survey. With iptables both families' packets count together. */
export function countersOf({ image }: Survey): Counters {
  const counters: Record<string, number> = {};
  for (const { name, rules } of image)
    for (const { id, text, packets = 0 } of rules) {
      if (id === undefined || UNDECIDED.test(text) || packets === 0) continue;
      const key = `${name}: ${id}`;
      counters[key] = (counters[key] ?? 0) + packets;
    }
  return counters;
}

/** The surplus of `after` over `before`, without zeros. */
export function growth(before: Counters, after: Counters): Counters {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return Object.fromEntries(
    keys
      .map((key) => [key, (after[key] ?? 0) - (before[key] ?? 0)])
      .filter(([, count]) => count !== 0),
  );
}

/**
 * The chains that a hook's packets meet, with the table that holds them in iptables, in the order
 * in which the kernel asks.
 */
const LOOKS: Readonly<Record<Hook, readonly { readonly hook: Hook; readonly table: Table }[]>> = {
  input: [
    { hook: 'input', table: 'mangle' },
    { hook: 'input', table: 'filter' },
  ],
  forward: [
    { hook: 'forward', table: 'mangle' },
    { hook: 'forward', table: 'filter' },
    { hook: 'postrouting', table: 'mangle' },
  ],
  output: [
    { hook: 'output', table: 'filter' },
    { hook: 'postrouting', table: 'mangle' },
  ],
  postrouting: [{ hook: 'postrouting', table: 'mangle' }],
};

/**
 * The counters that these packets must make grow, as the pure evaluation has it. `above`: somebody
 * else accepts everything before filter asks our rules, so that mangle alone judges.
 */
export function expectedGrowth(
  ruleset: Ruleset,
  backend: BackendName,
  packets: readonly Packet[],
  above = false,
): Counters {
  const counters: Record<string, number> = {};
  const early = backend === 'iptables' || answersEarly(ruleset);
  for (const packet of packets) {
    for (const { hook, table } of LOOKS[packet.hook]) {
      if (hook === 'output' && !early) continue;
      if (backend === 'nftables' && hook !== 'postrouting' && table === 'mangle') continue;
      if (above && table === 'filter') continue;
      const { rule, chain, verdict } = evaluate(ruleset, { ...packet, hook });
      const name = backend === 'iptables' ? imageName(table, chainText(chain)) : chain;
      const key = `${name}: ${rule?.id ?? 'chain policy'}`;
      counters[key] = (counters[key] ?? 0) + 1;
      if (verdict !== 'accept') break;
    }
  }
  return growth({}, counters);
}
