import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { INTERNET } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED, PROFILE } from '../../src/proof/openvpn.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import type { Service } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, hookArgv, must } from '../hooks/installed-machine.ts';

/**
 * `status` said "connected" as soon as `up` had run, whatever became of the server, and of a
 * server's own tunnel too.
 */

interface Scene {
  readonly world: World;
  readonly product: Product;
  server: Service;
}

async function open(backend: string): Promise<Scene> {
  const world = await openWorld({ dist: DIST, transport: 'udp' });
  try {
    // Its own timers would notice a silent server before this test does.
    await world.writeProfile(true, INTERNET.vpn4, { more: ['pull-filter ignore "ping"'] });
    const product = await installProduct(world.sandbox, DIST, `KILLSWITCH_BACKEND=${backend}\n`);
    return { world, product, server: await world.startServer() };
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

describe.each(BACKENDS)('with %s', (backend) => {
  let opened: Scene | undefined;
  let obstacle: string | undefined;
  beforeAll(async () => {
    obstacle = missingRequirements();
    if (obstacle === undefined) opened = await open(backend);
  });
  afterAll(() => opened?.world.close());
  const scene = (context: TestContext): Scene => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (opened === undefined) throw new Error('there is no scene');
    return opened;
  };
  const seen = async ({ product }: Scene) => {
    const [json, short, metrics] = [
      await product.command('status', '--json'),
      await product.command('status', '--short'),
      await product.command('status', '--prometheus'),
    ];
    const { connection, tunnels } = JSON.parse(json.stdout);
    return {
      exit: [json.status, short.status],
      connection,
      traffic: tunnels.map((each: { traffic: { state: string } | null }) => each.traffic?.state),
      short: short.stdout.trim(),
      metrics: metrics.stdout,
    };
  };
  const metric = (name: string) => `ovpn_killswitch_connection{connection="${name}"} 1`;

  test('a locked machine without a client has no connection', async (context) => {
    const it = scene(context);
    await it.product.must('lock');
    expect(await seen(it)).toMatchObject({
      exit: [0, 0],
      connection: 'none',
      short: 'LOCKED: blocked, no tunnel',
      metrics: expect.stringContaining(metric('none')),
    });
  });

  test('a client that has not reached its server yet is connecting', async (context) => {
    const it = scene(context);
    await it.server.end('KILL');
    const client = it.world.startClient();
    await client.says('link remote');
    expect(await seen(it)).toMatchObject({
      exit: [0, 0],
      connection: 'connecting',
      short: 'LOCKED: blocked, a client is connecting',
      metrics: expect.stringContaining(metric('connecting')),
    });
    await client.end('KILL');
    expect(await seen(it)).toMatchObject({ connection: 'none' });
  });

  test('data that comes in is a connection; what gets no answer for long is none', async (context) => {
    const it = scene(context);
    it.server = await it.world.startServer();
    const client = it.world.startClient();
    await client.says(CONNECTED);
    await waitUntil('an answer through the tunnel', () => it.world.ping('10.8.0.1'));
    expect(await seen(it)).toMatchObject({
      exit: [0, 0],
      connection: 'flowing',
      traffic: ['flowing'],
      short: expect.stringMatching(/^LOCKED: connected; tun0 to 203\.0\.113\.10:1194\/udp/),
    });
    it.server.signal('STOP');
    await waitUntil(
      'the silence to be said',
      async () => {
        it.world.sandbox.run(['ping', '-n', '-q', '-c5', '-i0.2', '-W1', '10.8.0.1']);
        return (await seen(it)).connection === 'silent';
      },
      90_000,
    );
    const silent = await seen(it);
    expect(silent).toMatchObject({
      exit: [0, 0],
      traffic: ['silent'],
      short: expect.stringMatching(/^LOCKED: tunnel up, but nothing has come in for \d+ s/),
      metrics: expect.stringContaining(metric('silent')),
    });
    it.server.signal('CONT');
    await client.end('TERM');
    expect(await seen(it)).toMatchObject({ connection: 'none' });
  });

  test('the tunnel of a server process is no connection', async (context) => {
    const it = scene(context);
    const {
      trusted_ip: _,
      trusted_port: __,
      remote_1: ___,
      remote_port_1: ____,
      ...env
    } = tunnelCall('srv9').env;
    const call = { argv: tunnelCall('srv9').argv, env };
    must(it.world.sandbox.run(hookArgv('up', call)));
    expect(await seen(it)).toMatchObject({
      connection: 'server',
      short: expect.stringMatching(/^LOCKED: no VPN client is connected; srv9/),
    });
    must(it.world.sandbox.run(hookArgv('down', call)));
  });

  test('persist-tun with several addresses behind one name is warned of', async (context) => {
    const it = scene(context);
    it.world.sandbox.run([
      'sh',
      '-c',
      `printf '192.0.2.7 vpn.test\\n192.0.2.8 vpn.test\\n' >>/etc/hosts; printf 'client\\ndev tun\\nremote vpn.test\\npersist-tun\\n' >${PROFILE}.two`,
    ]);
    await it.product.must('unlock');
    expect(await it.product.must('attach', `${PROFILE}.two`)).toContain(
      'persist-tun with 2 servers',
    );
  });
});
