import { expect } from 'vitest';
import type { Tally } from '../../src/proof/capture.ts';
import type { ProberRun } from '../../src/proof/prober-run.ts';
import type { Probe } from '../../src/proof/probes.ts';
import type { World } from '../../src/proof/world.ts';

/** A world whose prober never stops. */
export interface Watched {
  readonly world: World;
  readonly prober: ProberRun;
  /** The packets of the prober, where they are not all the world's probes. */
  readonly probes?: readonly Probe[];
  /** Lets the prober go on for a while, through every kind of probe. */
  probing(): Promise<void>;
}

/**
 * Does `work` and probes on: every kind of probe must have been tried meanwhile, and nothing but
 * the VPN and the LAN's own have left. `tell` gets what was captured, whatever it is.
 */
export async function nothingLeaves(
  { world, prober, probes = world.probes, probing }: Watched,
  work: () => Promise<void>,
  tell?: (tally: Tally) => void,
): Promise<Tally> {
  await world.capture.tally();
  const before = prober.report().tried;
  await work();
  await probing();
  const tally = await world.capture.tally();
  tell?.(tally);
  const { tried } = prober.report();
  for (const { name } of probes)
    expect(tried[name], `probes of ${name}`).toBeGreaterThan(before[name] ?? 0);
  expect(tally.byName).toEqual({});
  expect(tally.clear).toBe(0);
  return tally;
}

/** How often a busy machine gets time for every kind of probe. */
const ROUNDS = 5;

/**
 * The counter-check while nothing is guarded: what the capture does not see then proves nothing
 * later.
 */
export async function everyProbeIsSeen({
  world,
  probes = world.probes,
  probing,
}: Watched): Promise<void> {
  await world.capture.tally();
  const seen = new Set<string>();
  const missing = () => probes.map(({ name }) => name).filter((name) => !seen.has(name));
  for (let round = 0; round < ROUNDS && missing().length > 0; round++) {
    await probing();
    for (const name of Object.keys((await world.capture.tally()).byName)) seen.add(name);
  }
  expect(missing(), 'probes of which no packet was seen at the router').toEqual([]);
}
