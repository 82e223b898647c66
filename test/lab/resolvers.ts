import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { builtRoot } from '../support/debian-root.ts';
import { ANSWERS, type DnsWorld, openDnsWorld } from '../support/dns-world.ts';

/** The program that sets the resolvers of a machine. */
export interface ResolverSetting {
  readonly title: string;
  /** A root of `.ci/rootfs`. */
  readonly root: string;
  /** A shell script that makes the machine ask the provider's resolver. */
  readonly prepare: string;
  /** Programs that it starts before. */
  readonly start?: (world: DnsWorld) => Promise<void>;
  /** The resolvers that `status --json` names. */
  readonly setBy: readonly string[];
  /** The machine's own steps at boot, besides `recover resolvers`. */
  readonly atBoot?: string;
  /** Other state that must be as it was, as a shell script prints it. */
  readonly shows?: string;
}

interface Status {
  readonly dns: { readonly setBy: readonly string[]; readonly differences: readonly string[] };
}

/**
 * That the system asks the tunnel's resolver and nobody else, and has its own back afterwards. One
 * story: each test goes on from the one before.
 */
export function specifyResolvers(setting: ResolverSetting): void {
  describe(setting.title, () => {
    let opened: DnsWorld | undefined;
    let obstacle: string | undefined;
    let before = '';
    const plan = builtRoot(setting.root);
    const snapshot = (world: DnsWorld) =>
      world.sh(
        `ls -ld /etc/resolv.conf | cut -c1-10; readlink -f /etc/resolv.conf; cat /etc/resolv.conf; ${setting.shows ?? ''}`,
      );
    beforeAll(async () => {
      obstacle = missingRequirements() ?? plan.obstacle;
      if (obstacle !== undefined) return;
      opened = await openDnsWorld(plan, 'KILLSWITCH_BACKEND=nftables\n');
      await setting.start?.(opened);
      await opened.sh(setting.prepare);
      before = await snapshot(opened);
    });
    afterAll(() => opened?.close());
    const on = (context: TestContext): DnsWorld => {
      if (obstacle !== undefined) context.skip(obstacle);
      if (opened === undefined) throw new Error('there is no world');
      return opened;
    };
    const status = async (world: DnsWorld) =>
      JSON.parse((await world.product.command('status', '--json')).stdout) as Status;

    /** Does `work`: not one question reaches the provider meanwhile, or is seen on the uplink. */
    async function nobodyElseIsAsked(world: DnsWorld, work: () => Promise<void>): Promise<void> {
      const [questions, seen] = [world.questions('isp'), (await world.seenOnUplink()).length];
      await work();
      expect(world.questions('isp')).toBe(questions);
      expect((await world.seenOnUplink()).slice(seen)).toEqual([]);
    }

    test('asks the provider while nothing is locked', async (context) => {
      const world = on(context);
      expect(await world.ask()).toEqual([ANSWERS.isp]);
      expect(world.questions('isp')).toBeGreaterThanOrEqual(5);
      expect((await world.seenOnUplink()).length).toBeGreaterThan(0);
    });

    test('asks the tunnel’s resolver and nobody else while connected, and the provider after the end', async (context) => {
      const world = on(context);
      await world.product.must('lock');
      await nobodyElseIsAsked(world, async () => {
        const client = await world.connect('tun0');
        expect(await world.ask(20)).toEqual([ANSWERS.tun0]);
        expect(world.questions('tun0')).toBeGreaterThanOrEqual(20);
        expect((await status(world)).dns).toEqual({ setBy: setting.setBy, differences: [] });
        await client.end('TERM');
      });
      expect(await snapshot(world)).toBe(before);
      expect((await status(world)).dns).toEqual({ setBy: [], differences: [] });
    });

    test('keeps the resolver of the other tunnel when one of two leaves', async (context) => {
      const world = on(context);
      await nobodyElseIsAsked(world, async () => {
        const first = await world.connect('tun0');
        const second = await world.connect('tun1');
        for (const answer of await world.ask())
          expect([ANSWERS.tun0, ANSWERS.tun1]).toContain(answer);
        await first.end('TERM');
        expect(await world.ask()).toEqual([ANSWERS.tun1]);
        const third = await world.connect('tun0');
        await third.end('TERM');
        expect(await world.ask()).toEqual([ANSWERS.tun1]);
        await second.end('TERM');
      });
      expect(await snapshot(world)).toBe(before);
    });

    test('keeps the tunnel’s resolver through a restart of the connection', async (context) => {
      const world = on(context);
      const client = await world.connect('tun0');
      await nobodyElseIsAsked(world, async () => {
        client.signal('HUP');
        await client.says('Initialization Sequence Completed', 2);
        expect(await world.ask()).toEqual([ANSWERS.tun0]);
      });
      await client.end('TERM');
      expect(await snapshot(world)).toBe(before);
    });

    test('is as before after kill -9 of the client and a look at the status', async (context) => {
      const world = on(context);
      const client = await world.connect('tun0');
      await client.end('KILL');
      const { stdout } = await world.product.command('status');
      expect(stdout).toContain('GONE');
      expect(await snapshot(world)).toBe(before);
      await world.product.must('lock');
      expect(await snapshot(world)).toBe(before);
    });

    test('is as before after kill -9 of the client and lock', async (context) => {
      const world = on(context);
      await (await world.connect('tun0')).end('KILL');
      await world.product.must('lock');
      expect(await snapshot(world)).toBe(before);
    });

    for (const how of ['unlock', 'recover'])
      test(`is as before after ${how}, although the tunnel is up`, async (context) => {
        const world = on(context);
        const client = await world.connect('tun0');
        expect(await world.ask(1)).toEqual([ANSWERS.tun0]);
        await world.product.must(how);
        expect(await snapshot(world)).toBe(before);
        await client.end('TERM');
        await world.product.must('lock');
      });

    test('is as before after a power cut, without Node', async (context) => {
      const world = on(context);
      await world.connect('tun0');
      await world.powerCut();
      await setting.start?.(world);
      await world.sh(`/usr/local/lib/ovpn-killswitch/recover resolvers; ${setting.atBoot ?? ''}`);
      expect(await snapshot(world)).toBe(before);
      expect(await world.ask()).toEqual([ANSWERS.isp]);
    });
  });
}
