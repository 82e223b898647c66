import { matches } from '../../src/ruleset/evaluate.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import type { Chain, ChainName, Match, Rule, Ruleset } from '../../src/ruleset/ruleset.ts';

/** Verdicts as numbers, so that those of a whole product of packets compare at once. */
export const VERDICT_NUMBERS = { drop: 0, accept: 1, reject: 2 } as const;

/**
 * The verdict of `evaluate` on every packet, for many rulesets over the same packets: each match is
 * asked once about each combination of the packet's parts it looks at. A test compares the two.
 */
export interface VerdictTable {
  verdicts(ruleset: Ruleset): Uint8Array;
  /**
   * The verdicts of a ruleset that shares its untouched chains and rules with one whose verdicts
   * are known.
   */
  verdictsOfMutant(ruleset: Ruleset, original: Ruleset, known: Uint8Array): Uint8Array;
}

const PARTS = {
  in: (packet: Packet) => packet.in,
  out: (packet: Packet) => packet.out,
  from: (packet: Packet) => packet.from.text,
  to: (packet: Packet) => packet.to.text,
  payload: (packet: Packet) => JSON.stringify(packet.payload),
  conntrack: (packet: Packet) => packet.conntrack,
  owner: (packet: Packet) => `${packet.uid} ${packet.mark}`,
  bytes: (packet: Packet) => packet.bytes?.toString(),
  bridged: (packet: Packet) => String(packet.bridged === true),
  asked: (packet: Packet) => String(packet.asked === true),
  at: (packet: Packet) => packet.at?.toString(),
} as const;
type Part = keyof typeof PARTS;

const LOOKS_AT: Readonly<Record<keyof Match, readonly Part[]>> = {
  family: ['to'],
  in: ['in'],
  notIn: ['in'],
  out: ['out'],
  notOut: ['out'],
  from: ['from'],
  to: ['to'],
  endpoints: ['to', 'payload'],
  transports: ['payload'],
  fromPorts: ['payload'],
  toPorts: ['payload'],
  icmp: ['payload'],
  icmpCode: ['payload'],
  conntrack: ['conntrack'],
  owner: ['owner'],
  during: ['at'],
  bridged: ['bridged'],
  toMany: ['to'],
  asked: ['asked'],
  longest: ['bytes'],
  rate: [],
};

interface Step {
  readonly applies: Uint8Array;
  readonly verdict: number | readonly Step[] | 'log';
}

/** Each packet's part as a small number, and how many there are. */
function numbered(
  packets: readonly Packet[],
  part: Part,
): { readonly ids: Uint16Array; readonly count: number } {
  const seen = new Map<string | undefined, number>();
  const ids = Uint16Array.from(packets, (packet) => {
    const value = PARTS[part](packet);
    const id = seen.get(value) ?? seen.size;
    seen.set(value, id);
    return id;
  });
  return { ids, count: seen.size };
}

/**
 * The rules in which two rulesets differ: what is left of each changed chain without its common
 * head and tail.
 */
function changedRules(before: Ruleset, after: Ruleset): readonly Rule[] {
  return after.flatMap((chain, at) => {
    const other = before[at];
    if (other === undefined || other === chain) return [];
    const [old, now] = [other.rules, chain.rules];
    let head = 0;
    while (head < old.length && head < now.length && old[head] === now[head]) head++;
    let tail = 0;
    while (
      tail < old.length - head &&
      tail < now.length - head &&
      old[old.length - 1 - tail] === now[now.length - 1 - tail]
    )
      tail++;
    return [...old.slice(head, old.length - tail), ...now.slice(head, now.length - tail)];
  });
}

export function verdictTable(packets: readonly Packet[]): VerdictTable {
  const parts = Object.fromEntries(
    (Object.keys(PARTS) as Part[]).map((part) => [part, numbered(packets, part)]),
  );
  const known = new Map<string, Uint8Array>();

  const ask = (match: Match): Uint8Array => {
    const looked = [
      ...new Set((Object.keys(match) as (keyof Match)[]).flatMap((field) => LOOKS_AT[field])),
    ].flatMap((part) => parts[part] ?? []);
    const answers = new Map<number, number>();
    const all = new Uint8Array(packets.length);
    for (const [index, packet] of packets.entries()) {
      let key = 0;
      for (const { ids, count } of looked) key = key * count + (ids[index] ?? 0);
      const answer = answers.get(key) ?? (matches(match, packet) ? 1 : 0);
      answers.set(key, answer);
      all[index] = answer;
    }
    return all;
  };
  const applies = ({ match }: Rule): Uint8Array => {
    const key = JSON.stringify(match);
    const found = known.get(key) ?? ask(match);
    known.set(key, found);
    return found;
  };

  const steps = (chains: ReadonlyMap<ChainName, Chain>, name: ChainName): readonly Step[] =>
    (chains.get(name)?.rules ?? []).map((rule) => {
      const { verdict } = rule;
      if (typeof verdict === 'string')
        return { applies: applies(rule), verdict: VERDICT_NUMBERS[verdict] };
      return {
        applies: applies(rule),
        verdict: 'jump' in verdict ? steps(chains, verdict.jump) : 'log',
      };
    });

  const walk = (chain: readonly Step[], index: number): number | undefined => {
    for (const { applies: hits, verdict } of chain) {
      if (hits[index] === 0 || verdict === 'log') continue;
      if (typeof verdict === 'number') return verdict;
      const decided = walk(verdict, index);
      if (decided !== undefined) return decided;
    }
    return undefined;
  };

  const chainsOf = (ruleset: Ruleset) => {
    const chains = new Map(ruleset.map((chain) => [chain.name, chain]));
    return {
      input: steps(chains, 'input'),
      forward: steps(chains, 'forward'),
      output: steps(chains, 'output'),
      postrouting: steps(chains, 'postrouting'),
    };
  };

  return {
    verdicts: (ruleset) => {
      const hooks = chainsOf(ruleset);
      return Uint8Array.from(
        packets,
        ({ hook }, index) => walk(hooks[hook], index) ?? VERDICT_NUMBERS.drop,
      );
    },
    verdictsOfMutant: (ruleset, original, before) => {
      const hooks = chainsOf(ruleset);
      const changed = changedRules(original, ruleset).map(applies);
      // A packet that none of the changed rules fits goes the way it went.
      const after = before.slice();
      for (let index = 0; index < after.length; index++) {
        const { hook } = packets[index] ?? {};
        if (hook !== undefined && changed.some((hits) => hits[index] === 1))
          after[index] = walk(hooks[hook], index) ?? VERDICT_NUMBERS.drop;
      }
      return after;
    },
  };
}
