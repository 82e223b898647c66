import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/ruleset/compile.ts';
import { evaluate } from '../../../src/ruleset/evaluate.ts';
import type { Packet } from '../../../src/ruleset/packet.ts';
import { LEAK_INVARIANTS } from '../../support/leak-invariants.ts';
import { mutants } from '../../support/mutants.ts';
import { packetClasses } from '../../support/packets.ts';
import { POLICIES, type PolicyName } from '../../support/policies.ts';
import { promised } from '../../support/specification.ts';
import { VERDICT_NUMBERS, verdictTable } from '../../support/verdicts.ts';
import { witnesses } from '../../support/witnesses.ts';

/** Every third class of the product; the witnesses of each rule come along whole. */
const PRODUCT: readonly Packet[] = [...packetClasses()].flatMap(({ packet }, index) =>
  index % 3 === 0 ? [packet] : [],
);

/** Together they hold every section, both verdicts of a refusal, and every kind of match. */
const REPRESENTATIVE: readonly PolicyName[] = [
  'blocked, LAN a list with services, ports open to it',
  'blocked, an endpoint inside the LAN, refusing with an answer',
  'connected, some ports through the tunnel, others open to it',
  'connected, forwarding some ports',
];

/**
 * The fate of a mutant: no packet of the product sees it, or it lets more through, or it only
 * stops more or answers differently.
 */
interface Fates {
  readonly equivalent: string[];
  readonly leaky: string[];
  readonly survivors: string[];
  readonly stricter: string[];
  readonly unseen: string[];
}

function fatesOf(name: PolicyName): Fates {
  const policy = POLICIES[name];
  const original = compile(policy);
  const packets = [...PRODUCT, ...witnesses(original)];
  const table = verdictTable(packets);
  const before = table.verdicts(original);
  const fates: Fates = { equivalent: [], leaky: [], survivors: [], stricter: [], unseen: [] };
  for (const { name: mutant, ruleset } of mutants(original)) {
    const after = table.verdictsOfMutant(ruleset, original, before);
    const changed: { readonly packet: Packet; readonly now: number | undefined }[] = [];
    for (let index = 0; index < after.length; index++) {
      const packet = packets[index];
      if (packet !== undefined && before[index] !== after[index])
        changed.push({ packet, now: after[index] });
    }
    const opened = changed
      .filter(({ now }) => now === VERDICT_NUMBERS.accept)
      .map(({ packet }) => packet);
    if (changed.length === 0) fates.equivalent.push(mutant);
    else if (opened.length > 0) {
      const acceptedAsNew = (packet: Packet) => () =>
        evaluate(ruleset, { ...packet, conntrack: 'new' }).verdict === 'accept';
      const caught = opened.some((packet) =>
        LEAK_INVARIANTS.some(({ broken }) => broken(policy, packet, acceptedAsNew(packet))),
      );
      (caught ? fates.leaky : fates.survivors).push(mutant);
    } else {
      const missed = changed.some(
        ({ packet, now }) => VERDICT_NUMBERS[promised(policy, packet)] !== now,
      );
      (missed ? fates.stricter : fates.unseen).push(mutant);
    }
  }
  return fates;
}

describe('a ruleset with one mistake in it', () => {
  test('has the verdicts that the whole of it gives', () => {
    const original = compile(POLICIES['connected, forwarding some ports']);
    const packets = [...PRODUCT.filter((_, index) => index % 23 === 0), ...witnesses(original)];
    const table = verdictTable(packets);
    const before = table.verdicts(original);
    for (const { name, ruleset } of [...mutants(original)].filter((_, index) => index % 5 === 0))
      if (
        Buffer.compare(
          table.verdictsOfMutant(ruleset, original, before),
          table.verdicts(ruleset),
        ) !== 0
      )
        expect.fail(name);
  });

  test.each(REPRESENTATIVE)('never lets more pass without breaking an invariant: %s', (name) => {
    const { leaky, survivors, stricter, unseen } = fatesOf(name);
    expect(survivors).toEqual([]);
    expect(unseen).toEqual([]);
    expect(leaky.length).toBeGreaterThan(20);
    expect(stricter.length).toBeGreaterThan(20);
  });
});
