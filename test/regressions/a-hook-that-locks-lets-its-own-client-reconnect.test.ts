import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { INTERNET, VPN_NAME } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED, PROFILE, PUSHES } from '../../src/proof/openvpn.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import type { Service } from '../../src/proof/service.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { BACKENDS } from '../hooks/installed-machine.ts';

/**
 * `up` locks a machine that nobody has decided about. Where no setting named the profile and nobody
 * had attached it, the lock knew no server: the first reconnect found its own server shut, and its
 * name had no address.
 */

interface Scene {
  readonly world: World;
  readonly product: Product;
  client: Service;
}

/** No profile of this test lies there. */
const ELSEWHERE = 'KILLSWITCH_PROFILES=/etc/openvpn/elsewhere/*.conf';
const USER = 1000;
/** On a busy machine hooks hold up pings for longer than the usual timers allow. */
const PATIENT = 'ping-restart 120';

async function open(backend: string, remote: string, owner: number): Promise<Scene> {
  const world = await openWorld({ dist: DIST, transport: 'udp' });
  try {
    await world.writeProfile(true, remote);
    const product = await installProduct(
      world.sandbox,
      DIST,
      `KILLSWITCH_BACKEND=${backend}\n${ELSEWHERE}\n`,
    );
    const resolver = `echo 'nameserver ${INTERNET.resolver4}' >/etc/resolv.conf`;
    world.sandbox.run([
      'sh',
      '-c',
      `echo 127.0.0.1 localhost >/etc/hosts; ${resolver}; chown ${owner} ${PROFILE}`,
    ]);
    await world.startServer({ pushes: [...PUSHES, PATIENT], more: [PATIENT] });
    const client = world.startClient();
    await client.says(CONNECTED);
    return { world, product, client };
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

/** One machine for the tests of a `describe`. */
function sceneWith(backend: string, remote: string, owner = 0): (context: TestContext) => Scene {
  let opened: Scene | undefined;
  let obstacle: string | undefined;
  beforeAll(async () => {
    obstacle = missingRequirements();
    if (obstacle === undefined) opened = await open(backend, remote, owner);
  });
  afterAll(() => opened?.world.close());
  return (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (opened === undefined) throw new Error('there is no scene');
    return opened;
  };
}

async function reconnect({ client }: Scene): Promise<void> {
  const before = client.times(CONNECTED);
  client.signal('USR1');
  await client.says(CONNECTED, before + 1, 20_000);
}

async function connectAnew(scene: Scene): Promise<void> {
  await scene.client.end('KILL');
  scene.client = scene.world.startClient();
  await scene.client.says(CONNECTED);
}

const hostsOf = ({ world }: Scene) => world.sandbox.run(['cat', '/etc/hosts']).stdout;

describe.each(BACKENDS)('with %s', (backend) => {
  describe('a profile that nobody has named, and its server by name', () => {
    const scene = sceneWith(backend, VPN_NAME);

    test('is locked by its hook, with the server as endpoint and pin', async (context) => {
      const it = scene(context);
      const status = JSON.parse((await it.product.command('status', '--json')).stdout);
      expect(status).toMatchObject({ state: 'connected', exact: true });
      expect(status.endpoints).toContain(`${INTERNET.vpn4}:1194/udp`);
      expect(hostsOf(it)).toContain(`\n${INTERNET.vpn4} ${VPN_NAME}\n`);
      // OpenVPN asked for the name while nothing was locked.
      expect((await it.world.capture.tally()).byName).toEqual({ 'isp-dns4': 1 });
    });

    test('reconnects, and connects anew after its client was killed', async (context) => {
      const it = scene(context);
      await reconnect(it);
      await connectAnew(it);
      const { clear, byName } = await it.world.capture.tally();
      expect([clear, byName]).toEqual([0, {}]);
    });

    test('reconnects after a lock by hand too', async (context) => {
      const it = scene(context);
      await it.product.must('lock');
      await reconnect(it);
    });
  });

  describe('a profile of another account', () => {
    const scene = sceneWith(backend, INTERNET.vpn4, USER);

    test('reconnects to the server that root was connected to, and nothing else of it is believed', async (context) => {
      const it = scene(context);
      it.world.sandbox.run(['sh', '-c', `echo 'remote 203.0.113.66 443' >>${PROFILE}`]);
      await reconnect(it);
      const status = JSON.parse((await it.product.command('status', '--json')).stdout);
      expect(status.endpoints).toEqual([`${INTERNET.vpn4}:1194/udp`]);
    });

    test('names no server for the hosts file', async (context) => {
      expect(hostsOf(scene(context))).toBe('127.0.0.1 localhost\n');
    });
  });
});
