import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { INTERNET, VPN_NAME } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import type { Service } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { PATIENT_SERVER } from '../lab/open-lab.ts';
import { DIST } from './stage.ts';

interface Scene {
  readonly world: World;
  readonly product: Product;
  readonly hosts: string;
  readonly client: { now?: Service };
}

const HOSTS = '127.0.0.1 localhost\n# mine';

async function open(): Promise<Scene> {
  const world = await openWorld({ dist: DIST, transport: 'udp' });
  try {
    await world.writeProfile(true, VPN_NAME);
    const product = await installProduct(world.sandbox, DIST, 'KILLSWITCH_BACKEND=nftables\n');
    world.sandbox.run([
      'sh',
      '-c',
      `printf '${HOSTS.replace('\n', '\\n')}' > /etc/hosts; echo 'nameserver ${INTERNET.resolver4}' > /etc/resolv.conf`,
    ]);
    await world.startServer(PATIENT_SERVER);
    return { world, product, hosts: HOSTS, client: {} };
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

/** One story: each test goes on from the one before. */
describe('a profile that names its server by a host name', () => {
  let opened: Scene | undefined;
  let obstacle: string | undefined;
  beforeAll(async () => {
    obstacle = missingRequirements();
    if (obstacle === undefined) opened = await open();
  });
  afterAll(() => opened?.world.close());
  const scene = (context: TestContext): Scene => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (opened === undefined) throw new Error('there is no scene');
    return opened;
  };
  const file = ({ world }: Scene, path: string) => world.sandbox.run(['cat', path]).stdout;
  const endpoints = async ({ product }: Scene): Promise<readonly string[]> =>
    (
      JSON.parse((await product.command('status', '--json')).stdout) as {
        endpoints: readonly string[];
      }
    ).endpoints;

  test('is resolved by lock, while the machine is still open', async (context) => {
    const it = scene(context);
    await it.product.must('lock');
    expect(await endpoints(it)).toEqual([`${INTERNET.vpn4}:1194/udp`]);
    expect(file(it, '/etc/hosts')).toContain(`\n${INTERNET.vpn4} ${VPN_NAME}\n`);
    // The question to the ISP is seen: what is not seen from here on was not sent.
    expect((await it.world.capture.tally()).byName).toEqual({ 'isp-dns4': 2 });
  });

  test('connects while locked, and no DNS leaves outside the tunnel', async (context) => {
    const it = scene(context);
    const client = it.world.startClient();
    it.client.now = client;
    await client.says(CONNECTED);
    expect(client.said()).toContain(`${INTERNET.vpn4}:1194`);
    const { clear, byName, vpn } = await it.world.capture.tally();
    expect(byName).toEqual({});
    expect(clear).toBe(0);
    expect(vpn).toBeGreaterThan(5);
  });

  test('is asked for again through the tunnel, and keeps its old address as a fallback', async (context) => {
    const it = scene(context);
    await waitUntil('the new address', async () => (await endpoints(it)).length === 2, 20_000);
    expect(await endpoints(it)).toEqual([
      `${INTERNET.vpn4}:1194/udp`,
      `${INTERNET.moved4}:1194/udp`,
    ]);
    const hosts = file(it, '/etc/hosts');
    expect(hosts.indexOf(INTERNET.moved4)).toBeGreaterThan(0);
    expect(hosts.indexOf(INTERNET.moved4)).toBeLessThan(hosts.indexOf(INTERNET.vpn4));
    expect(await it.product.command('status')).toMatchObject({ status: 0 });
    expect((await it.world.capture.tally()).byName).toEqual({});
  });

  test('connects to where its server has moved, without any DNS', async (context) => {
    const it = scene(context);
    await it.client.now?.end('KILL');
    const client = it.world.startClient();
    it.client.now = client;
    await client.says(CONNECTED);
    expect(client.said()).toContain(`${INTERNET.moved4}:1194`);
    const { clear, byName, vpn } = await it.world.capture.tally();
    expect(byName).toEqual({});
    expect(clear).toBe(0);
    expect(vpn).toBeGreaterThan(5);
    expect(await it.product.command('status')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(INTERNET.moved4),
    });
  });

  test('leaves /etc/hosts byte for byte as it was after unlock', async (context) => {
    const it = scene(context);
    await it.product.must('unlock');
    expect(file(it, '/etc/hosts')).toBe(it.hosts);
  });
});
