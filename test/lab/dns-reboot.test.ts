import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { DEVICE, INTERNET, VPN } from '../../src/proof/addresses.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { PATIENT } from './open-lab.ts';

/** The program that holds the resolvers of a machine that is booted for real. */
const HOLDERS = [
  {
    title: 'a plain /etc/resolv.conf',
    root: 'systemd-12',
    prepare: `printf 'nameserver ${INTERNET.resolver4}\\noptions timeout:1\\n' >/etc/resolv.conf`,
    shows: 'cat /etc/resolv.conf; stat -c "%a %U %F" /etc/resolv.conf',
    set: 'cat /etc/resolv.conf',
  },
  {
    title: 'systemd-resolved',
    root: 'resolved-12',
    prepare: `mkdir -p /etc/systemd/resolved.conf.d; printf '[Resolve]\\nDNS=${INTERNET.resolver4}\\nFallbackDNS=\\n' >/etc/systemd/resolved.conf.d/isp.conf`,
    // The number of an interface grows with each boot of this machine's card.
    shows: `readlink /etc/resolv.conf; cat /etc/resolv.conf; resolvectl status | sed 's/^Link [0-9]*/Link/'; resolvectl domain | sed 's/^Link [0-9]*/Link/'`,
    set: `resolvectl dns ${DEVICE}; resolvectl domain ${DEVICE}`,
  },
] as const;

interface Scene {
  readonly machine: Booted;
  readonly product: Product;
  readonly before: string;
}

describe.each(HOLDERS)(
  '$title, on a machine that boots for real',
  ({ root, prepare, shows, set }) => {
    let scene: Scene | undefined;
    let obstacle: string | undefined;
    beforeAll(async () => {
      obstacle = bootObstacle({ root });
      if (obstacle !== undefined) return;
      const machine = await bootMachine({ root, prepare });
      try {
        const product = await installProduct(machine, DIST, '');
        await machine.world.startServer({ more: [PATIENT] });
        await machine.writeProfile('/etc/openvpn/client/vpn.conf', true, undefined, {
          more: [PATIENT],
        });
        const before = await machine.sh(shows);
        await product.must('lock');
        await product.must('boot', 'enable');
        scene = { machine, product, before };
      } catch (thrown) {
        await machine.close();
        throw thrown;
      }
    });
    afterAll(() => scene?.machine.close());
    const on = (context: TestContext): Scene => {
      if (obstacle !== undefined) context.skip(obstacle);
      if (scene === undefined) throw new Error('the machine was not made');
      return scene;
    };

    async function connect({ machine, product }: Scene): Promise<void> {
      await machine.sh('systemctl start openvpn-client@vpn');
      await waitUntil(
        'the tunnel',
        async () => (await product.command('status')).stdout.includes('LOCKED: connected'),
        30_000,
      );
      await waitUntil(
        'the resolvers of the tunnel',
        async () => (await machine.sh(set)).includes(VPN.resolver4),
        30_000,
      );
    }

    const ENDS = { powerCut: 'power cut', reboot: 'reboot' } as const;
    for (const how of ['powerCut', 'reboot'] as const)
      test(`has its own resolvers back after a ${ENDS[how]} while connected`, async (context) => {
        const it = on(context);
        const { machine, product, before } = it;
        await connect(it);
        expect(await machine.sh(shows)).not.toBe(before);
        await machine[how]();
        await waitUntil(
          'the previous resolvers',
          async () => (await machine.sh(shows)) === before,
          60_000,
        );
        const { status, stdout } = await product.command('status');
        expect(stdout).toContain('LOCKED: blocked');
        expect(status).toBe(0);
      });
  },
);
