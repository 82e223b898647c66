import { createInterface } from 'node:readline';
import { INTERNET } from '../../src/proof/addresses.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import type { Plan } from './groups.ts';
import { DIST } from './machines.ts';
import { type Row, rowsOf } from './measure.ts';
import type { TrafficOrders } from './traffic.ts';

const PORT = 5001;
const KINDS = ['stream', 'datagrams', 'connections'] as const;

/** Samples by name. */
type Samples = Map<string, number[]>;

function add(samples: Samples, name: string, value: number): void {
  samples.set(name, [...(samples.get(name) ?? []), value]);
}

/** Sends traffic from a sandbox; bytes are given as Mbit. */
export async function traffic(sandbox: World['sandbox'], tools: string, orders: TrafficOrders): Promise<number> {
  const { stdout, stderr, status } = await sandbox.ask([process.execPath, `${tools}traffic.js`, JSON.stringify(orders)]);
  if (status !== 0 || stdout === '') throw new Error(`${orders.kind} to ${orders.address}: ${stderr}`);
  return orders.kind === 'stream' ? (Number(stdout) * 8) / 1e6 : Number(stdout);
}

/** Starts who takes it, in a namespace of a sandbox, and waits for it. */
export async function serve(sandbox: World['sandbox'], tools: string, at: string, address: string, port: number): Promise<void> {
  const orders: TrafficOrders = { kind: 'serve', address, port, milliseconds: 0 };
  const { stdout, stderr } = sandbox.start([process.execPath, `${tools}traffic.js`, JSON.stringify(orders)], { at });
  if (stdout === null) throw new Error('the server has no output');
  stderr?.pipe(process.stderr);
  for await (const line of createInterface({ input: stdout })) if (line === 'ready') return;
  throw new Error('the server has ended');
}

const [UNLOCKED, LOCKED] = ['unlocked', 'locked'] as const;

/** An OpenVPN server, this machine with our product in it, and who takes traffic behind the server. */
async function open(plan: Plan): Promise<{ readonly world: World; readonly product: Product }> {
  const world = await openWorld({ dist: DIST, transport: 'udp' });
  try {
    await world.startServer();
    await world.writeProfile(true);
    const product = await installProduct(world.sandbox, DIST, 'KILLSWITCH_RESOLVER=off\n');
    await serve(world.sandbox, plan.tools, 'internet', INTERNET.web4, PORT);
    return { world, product };
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

async function connected(world: World): Promise<ReturnType<World['startClient']>> {
  const client = world.startClient();
  await client.says(CONNECTED);
  return client;
}

export async function measureConnect(plan: Plan): Promise<readonly Row[]> {
  const { world, product } = await open(plan);
  try {
    const samples: Samples = new Map();
    for (let repeat = 0; repeat < plan.repeats; repeat++)
      for (const state of [UNLOCKED, LOCKED]) {
        await product.must(state === LOCKED ? 'lock' : 'unlock');
        await world.writeProfile(state === LOCKED);
        const started = performance.now();
        const client = await connected(world);
        add(samples, state === LOCKED ? 'with hooks, locked' : 'without hooks, unlocked', performance.now() - started);
        await client.end();
      }
    return rowsOf(samples);
  } finally {
    world.close();
  }
}

/** How often each state is measured in the time of one repeat: what the machine does besides changes within seconds. */
const TURNS = 3;

/** One connection is locked and unlocked in turn: two connections of the same client differ by more than the rules cost. */
export async function measureTunnel(plan: Plan): Promise<readonly Row[]> {
  const { world, product } = await open(plan);
  try {
    await product.must('lock');
    const client = await connected(world);
    const samples: Samples = new Map();
    for (let turn = 0; turn < plan.repeats * TURNS; turn++)
      for (const state of turn % 2 === 0 ? [UNLOCKED, LOCKED] : [LOCKED, UNLOCKED]) {
        await product.must(state === LOCKED ? 'lock' : 'unlock');
        for (const kind of KINDS) {
          const orders = { kind, address: INTERNET.web4, port: PORT, milliseconds: (plan.seconds * 1000) / TURNS };
          add(samples, `${kind}, ${state}`, await traffic(world.sandbox, plan.tools, orders));
        }
      }
    await client.end();
    // Each kind compares with itself.
    return KINDS.flatMap((kind) =>
      rowsOf(new Map([UNLOCKED, LOCKED].map((state) => [`${kind}, ${state}`, samples.get(`${kind}, ${state}`) ?? []]))),
    );
  } finally {
    world.close();
  }
}
