import { createInterface } from 'node:readline';
import { INTERNET } from '../../src/proof/addresses.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import { installProduct } from '../../src/proof/product.ts';
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

interface Measured {
  readonly connect: Samples;
  readonly tunnel: Samples;
}

async function connection(world: World, plan: Plan, state: 'unlocked' | 'locked', { connect, tunnel }: Measured): Promise<void> {
  const hooks = state === 'locked';
  await world.writeProfile(hooks);
  const started = performance.now();
  const client = world.startClient();
  await client.says(CONNECTED);
  add(connect, hooks ? 'with hooks, locked' : 'without hooks, unlocked', performance.now() - started);
  for (const kind of KINDS)
    add(
      tunnel,
      `${kind}, ${state}`,
      await traffic(world.sandbox, plan.tools, { kind, address: INTERNET.web4, port: PORT, milliseconds: plan.seconds * 1000 }),
    );
  await client.end();
}

async function measure(plan: Plan): Promise<Measured> {
  const world = await openWorld({ dist: DIST, transport: 'udp' });
  try {
    await world.startServer();
    await world.writeProfile(true);
    const product = await installProduct(world.sandbox, DIST, 'KILLSWITCH_RESOLVER=off\n');
    await serve(world.sandbox, plan.tools, 'internet', INTERNET.web4, PORT);
    const measured: Measured = { connect: new Map(), tunnel: new Map() };
    for (let repeat = 0; repeat < plan.repeats; repeat++) {
      await product.must('unlock');
      await connection(world, plan, 'unlocked', measured);
      await product.must('lock');
      await connection(world, plan, 'locked', measured);
    }
    return measured;
  } finally {
    world.close();
  }
}

let measured: Promise<Measured> | undefined;

/** Both groups come from the same connections. */
function once(plan: Plan): Promise<Measured> {
  measured ??= measure(plan);
  return measured;
}

export async function measureConnect(plan: Plan): Promise<readonly Row[]> {
  return rowsOf((await once(plan)).connect);
}

export async function measureTunnel(plan: Plan): Promise<readonly Row[]> {
  const { tunnel } = await once(plan);
  // Each kind compares with itself.
  return KINDS.flatMap((kind) => rowsOf(new Map([...tunnel].filter(([name]) => name.startsWith(`${kind},`)))));
}
