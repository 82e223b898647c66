import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { INTERNET, PORTS, UPLINK } from '../../src/proof/addresses.ts';
import type { Tally } from '../../src/proof/capture.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import { marker } from '../../src/proof/probes.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import type { Service } from '../../src/proof/service.ts';
import { WEB_VISITS } from '../../src/proof/services.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { builtRoot } from '../support/debian-root.ts';
import { PATIENT } from './open-lab.ts';

/** Where a program speaks to past the tunnel's routes. */
const TARGETS = {
  'the endpoint over UDP': `UDP4:${INTERNET.vpn4}:${PORTS.vpn}`,
  'the endpoint over TCP': `TCP4:${INTERNET.vpn4}:${PORTS.vpn},connect-timeout=0.5`,
  'the internet over UDP': `UDP4:${INTERNET.web4}:${PORTS.echo}`,
  'the internet over UDP and IPv6': `UDP6:[${INTERNET.web6}]:${PORTS.echo}`,
  'the internet over TCP': `TCP4:${INTERNET.web4}:${PORTS.web},connect-timeout=0.5`,
  'the resolver of the ISP': `UDP4:${INTERNET.resolver4}:${PORTS.dns}`,
} as const;

describe.each(['nftables', 'iptables'] as const)(
  'an unprivileged program bound to the uplink, with %s',
  (backend) => {
    let scene:
      | { readonly world: World; readonly product: Product; readonly client: Service }
      | undefined;
    let obstacle: string | undefined;
    const plan = builtRoot('bound-12');
    beforeAll(async () => {
      obstacle = missingRequirements() ?? plan.obstacle;
      if (obstacle !== undefined) return;
      const world = await openWorld({ dist: DIST, transport: 'udp', plan });
      try {
        const product = await installProduct(
          world.sandbox,
          DIST,
          `KILLSWITCH_BACKEND=${backend}\n`,
        );
        await world.startServer({ more: [PATIENT] });
        await world.writeProfile(true, undefined, { more: [PATIENT] });
        await product.must('unlock');
        const client = world.startClient();
        await client.says(CONNECTED);
        scene = { world, product, client };
      } catch (thrown) {
        world.close();
        throw thrown;
      }
    });
    afterAll(() => scene?.world.close());
    const on = (context: TestContext) => {
      if (obstacle !== undefined) context.skip(obstacle);
      if (scene === undefined) throw new Error('the world was not made');
      return scene;
    };

    /**
     * The router's view of ten payloads sent as nobody in particular, by the uplink whatever the
     * routes say (SO_BINDTODEVICE).
     */
    async function sent({ sandbox, capture }: World, target: string): Promise<Tally> {
      await capture.tally();
      for (let sequence = 0; sequence < 10; sequence++)
        await sandbox.ask(
          [
            'setpriv',
            '--reuid=65533',
            '--regid=65533',
            '--clear-groups',
            'socat',
            '-u',
            '-',
            `${target},so-bindtodevice=${UPLINK}`,
          ],
          { stdin: marker('bound', sequence) },
        );
      return capture.tally();
    }

    for (const [name, target] of Object.entries(TARGETS))
      test(`speaks to ${name} past the tunnel while nothing is locked`, async (context) => {
        expect((await sent(on(context).world, target)).clear).toBeGreaterThan(0);
      });

    test('is stopped by lock, while the tunnel goes on', async (context) => {
      const { world, product } = on(context);
      await product.must('lock');
      expect((await product.must('status')).split('\n')[0]).toBe('LOCKED: connected');
      const visited = await world.visit(WEB_VISITS);
      expect(visited).toMatchObject({ echo4: 'echo', echo6: 'echo' });
      for (const [name, target] of Object.entries(TARGETS)) {
        const tally = await sent(world, target);
        expect(tally.byName, name).toEqual({});
        expect(tally.clear, name).toBe(0);
      }
      // The client itself speaks to the same address and port all the while.
      await world.capture.tally();
      expect(await world.visit(WEB_VISITS)).toEqual(visited);
      expect((await world.capture.tally()).vpn).toBeGreaterThan(0);
    });

    test('does not get through a reconnect either, which prove asks for and says so before', async (context) => {
      const { world, product, client } = on(context);
      const before = client.times(CONNECTED);
      await world.capture.tally();
      const said = await product.must('prove', '--here', '--reconnect');
      expect(said).toMatch(
        /^Sending over up0 …\nThen the OpenVPN of tun0 \(process \d+\) is told to reconnect \(SIGUSR1\): .*\ntun0 is back\.\n(.*\n)*Nothing left\.\n$/,
      );
      expect(client.times(CONNECTED)).toBe(before + 1);
      const { clear, byName, vpn } = await world.capture.tally();
      expect(byName).toEqual({});
      expect(clear).toBe(0);
      expect(vpn).toBeGreaterThan(0);
      expect((await product.must('status')).split('\n')[0]).toBe('LOCKED: connected');
    });
  },
);
