import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED, PROFILE } from '../../src/proof/openvpn.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { PATIENT_SERVER } from '../lab/open-lab.ts';
import { DIST } from './stage.ts';

const OWN = '/etc/openvpn/own-hook';
const RECORDED = '/run/own-hook';

let obstacle: string | undefined;
let world: World | undefined;
let product: Product | undefined;

beforeAll(async () => {
  obstacle = missingRequirements();
  if (obstacle !== undefined) return;
  world = await openWorld({ dist: DIST, transport: 'udp' });
  product = await installProduct(world.sandbox, DIST, '');
  await sh(
    `cat >${OWN}; chmod 755 ${OWN}`,
    `#!/bin/sh\nprintf '[%s]' "$script_type" "$@" >>${RECORDED}\n`,
  );
  await world.startServer(PATIENT_SERVER);
});

afterAll(() => world?.close());

function made(context: TestContext): { readonly world: World; readonly product: Product } {
  if (obstacle !== undefined) context.skip(obstacle);
  if (world === undefined || product === undefined) throw new Error('the world was not made');
  return { world, product };
}

async function sh(text: string, stdin?: string): Promise<string> {
  const ran = await world?.sandbox.ask(['sh', '-euc', text], stdin === undefined ? {} : { stdin });
  if (ran?.status !== 0) throw new Error(`${text}: ${ran?.stderr}`);
  return ran.stdout;
}

test('a profile with hooks of its own connects after attach, and both they and ours have run', async (context) => {
  const stage = made(context);
  await stage.world.writeProfile(false);
  await sh(
    `cat >>${PROFILE}`,
    `up "${OWN} 'two words' it\\"s"\nroute-up ${OWN}\ndown "${OWN} bye"\n`,
  );
  const original = await sh(`cat ${PROFILE}`);
  await stage.product.must('attach', PROFILE);
  await stage.product.must('lock');
  const client = stage.world.startClient();
  await client.says(CONNECTED);
  expect(await stage.product.must('status')).toContain('LOCKED: connected');
  const [, device, address] =
    /^\[up\]\[two words\]\[it"s\]\[(\w+)\]\[\d+\]\[0\]\[([\d.]+)\]\[[\d.]+\]\[init\]/.exec(
      await sh(`cat ${RECORDED}`),
    ) ?? [];
  expect(client.said()).toContain(`net_addr_v4_add: ${address}`);
  expect(client.said()).toContain(`TUN/TAP device ${device} opened`);
  expect(await sh(`cat ${RECORDED}`)).toMatch(/\[init\]\[route-up\]$/);
  await client.end('TERM');
  expect(await sh(`cat ${RECORDED}`)).toMatch(
    /\[route-up\]\[down\]\[bye\]\[\w+\]\[\d+\]\[0\]\[[\d.]+\]\[[\d.]+\]\[init\]$/,
  );
  expect(await stage.product.must('status')).toContain('LOCKED: blocked');
  await stage.product.must('detach', PROFILE);
  expect(await sh(`cat ${PROFILE}`)).toBe(original);
});

test('a client that gives root up clears its rules when it ends, with the line that attach advises', async (context) => {
  const stage = made(context);
  if (!stage.world.sandbox.hasOtherUsers) context.skip('this user namespace has only one user');
  if ((await sh('find /usr/lib* -name openvpn-plugin-down-root.so')) === '')
    context.skip('the plugin down-root is not installed');
  await stage.world.writeProfile(false);
  await sh(`cat >>${PROFILE}`, 'user nobody\npersist-key\n');
  const [, advised = ''] =
    /add: (plugin .*)/.exec(await stage.product.must('attach', '--dry-run', PROFILE)) ?? [];
  expect(advised).toContain('down-root');
  await sh(`cat >>${PROFILE}`, `${advised}\n`);
  expect(await stage.product.must('attach', PROFILE)).not.toContain('becomes nobody');
  await stage.product.must('lock');
  const client = stage.world.startClient();
  await client.says(CONNECTED);
  expect(await stage.product.must('status')).toContain('LOCKED: connected');
  await client.end('TERM');
  const status = await stage.product.must('status');
  expect(status).toContain('LOCKED: blocked');
  expect(status).not.toContain('GONE');
});
