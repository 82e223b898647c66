import { afterAll, beforeAll, describe, test } from 'vitest';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import type { Service } from '../../src/proof/service.ts';
import { builtRoot } from '../support/debian-root.ts';
import { type DnsWorld, openDnsWorld } from '../support/dns-world.ts';
import { PREFER_UPLINK, startResolved } from '../support/resolved.ts';

const SECONDS = 60;

interface Scene {
  readonly world: DnsWorld;
  readonly running: Service[];
}

async function open(refuse: 'drop' | 'reject'): Promise<Scene> {
  const world = await openDnsWorld(
    builtRoot('dns-resolved'),
    `KILLSWITCH_BACKEND=nftables\nKILLSWITCH_REFUSE=${refuse}\n`,
  );
  const running: Service[] = [];
  await startResolved(world, running);
  await world.sh(
    `ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf; ${PREFER_UPLINK}`,
  );
  await world.product.must('lock');
  return { world, running };
}

/** CPU seconds that systemd-resolved has used, user and system. */
async function cpuSeconds(world: DnsWorld): Promise<number> {
  const stat = await world.sh('cat /proc/$(cat /run/proof/resolved.pid)/stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Programs that go on asking for names, as mail and chat programs do. */
async function keepAsking(world: DnsWorld, seconds: number): Promise<void> {
  await world.sandbox.ask(
    [
      'sh',
      '-c',
      `end=$(($(date +%s) + ${seconds})); n=0
      while [ $(date +%s) -lt $end ]; do n=$((n + 1)); timeout 2 getent ahostsv4 idle-$n.example.org >/dev/null & sleep 1; done; wait`,
    ],
    { milliseconds: (seconds + 30) * 1000 },
  );
}

describe('systemd-resolved, whose uplink claims every name, while the machine is locked and nothing is connected', () => {
  const scenes = new Map<string, Scene>();
  const plan = builtRoot('dns-resolved');
  const obstacle = missingRequirements() ?? plan.obstacle;
  beforeAll(async () => {
    if (obstacle !== undefined) return;
    for (const refuse of ['drop', 'reject'] as const) scenes.set(refuse, await open(refuse));
  });
  afterAll(() => {
    for (const { world } of scenes.values()) world.close();
  });

  for (const refuse of ['drop', 'reject'] as const)
    test.concurrent(`uses less than 1 % of a CPU over a minute with KILLSWITCH_REFUSE=${refuse}, and nothing gets out`, async (context) => {
      if (obstacle !== undefined) context.skip(obstacle);
      const scene = scenes.get(refuse);
      if (scene === undefined) throw new Error('there is no world');
      const { world } = scene;
      const seen = (await world.seenOnUplink()).length;
      const before = await cpuSeconds(world);
      const started = performance.now();
      await keepAsking(world, SECONDS);
      const used = (await cpuSeconds(world)) - before;
      const share = used / ((performance.now() - started) / 1000);
      process.stdout.write(
        `${refuse}: systemd-resolved used ${used.toFixed(2)} s of CPU, ${(share * 100).toFixed(2)} %\n`,
      );
      context.expect(share).toBeLessThan(0.01);
      // Not vacuous: it was asked, and asked on.
      const dropped = await world.sh("resolvectl statistics | grep -i 'total transactions'");
      context.expect(Number(/(\d+)\s*$/.exec(dropped.trim())?.[1])).toBeGreaterThan(SECONDS / 2);
      context.expect((await world.seenOnUplink()).slice(seen)).toEqual([]);
    });
});
