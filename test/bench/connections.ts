import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import type { BackendName } from '../../src/policy/settings.ts';
import { INTERNET } from '../../src/proof/addresses.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import { installProduct, type Product, writeSettings } from '../../src/proof/product.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import type { Plan } from './groups.ts';
import { DIST, place } from './machines.ts';
import { type Row, rowsOf } from './measure.ts';
import { CALLS_HOOK, EMPTY, providerTable } from './rivals.ts';
import type { TrafficOrders } from './traffic.ts';

const PORT = 5001;
const KINDS = ['stream', 'datagrams', 'connections'] as const;
/**
 * One rule that asks what a packet belongs to: the kernel then keeps track of every connection,
 * which costs more than rules do.
 */
const TRACKING =
  'table inet tracking { chain input { type filter hook input priority 0; ct state established accept; }; }';

/** Samples by name. */
type Samples = Map<string, number[]>;

function add(samples: Samples, name: string, value: number): void {
  samples.set(name, [...(samples.get(name) ?? []), value]);
}

/**
 * Sends traffic from a sandbox; bytes are given as Mbit. `prefix` is what starts the program,
 * without it nothing.
 */
export async function traffic(
  sandbox: World['sandbox'],
  tools: string,
  orders: TrafficOrders,
  prefix: readonly string[] = [],
): Promise<number> {
  const { stdout, stderr, status } = await sandbox.ask([
    ...prefix,
    process.execPath,
    `${tools}traffic.js`,
    JSON.stringify(orders),
  ]);
  if (status !== 0 || stdout === '')
    throw new Error(`${orders.kind} to ${orders.address}: ${stderr}`);
  return orders.kind === 'stream' ? (Number(stdout) * 8) / 1e6 : Number(stdout);
}

/** Starts who takes it, in a namespace of a sandbox, and waits for it. */
export async function serve(
  sandbox: World['sandbox'],
  tools: string,
  at: string,
  address: string,
  port: number,
): Promise<void> {
  const orders: TrafficOrders = { kind: 'serve', address, port, milliseconds: 0 };
  const { stdout, stderr } = sandbox.start(
    [process.execPath, `${tools}traffic.js`, JSON.stringify(orders)],
    { at },
  );
  if (stdout === null) throw new Error('the server has no output');
  stderr?.pipe(process.stderr);
  for await (const line of createInterface({ input: stdout })) if (line === 'ready') return;
  throw new Error('the server has ended');
}

const UNLOCKED = 'unlocked';

const settingsFor = (backend: BackendName) =>
  `KILLSWITCH_BACKEND=${backend}\nKILLSWITCH_RESOLVER=off\n`;

/**
 * An OpenVPN server, this machine with our product in it, and who takes traffic behind the server.
 */
async function open(
  plan: Plan,
  backend: BackendName,
): Promise<{ readonly world: World; readonly product: Product }> {
  const world = await openWorld({ dist: DIST, transport: 'udp' });
  try {
    await world.startServer();
    await world.writeProfile(true);
    const product = await installProduct(world.sandbox, DIST, settingsFor(backend));
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

/** A profile's hooks while a connection is timed. */
const CONNECTS = ['no hooks', 'our hooks', 'node, nothing but nft', 'bash hook'] as const;
const RULES = '/etc/openvpn/rules.nft';
/** An `up` of one's own for each kind that has one. Node with nft alone: no hook of Node is faster. */
const OTHER_HOOKS: Partial<Record<(typeof CONNECTS)[number], string>> = {
  'node, nothing but nft': `#!${process.execPath} --v8-pool-size=0
const { status } = require('node:child_process').spawnSync('/usr/sbin/nft', ['-f', '${RULES}'], { env: {} });
process.exit(status ?? 1);
`,
  'bash hook': CALLS_HOOK,
};
const OTHER_HOOK = '/etc/openvpn/other-hook';

/** The root folder of a Debian with this OpenVPN, built when it is not there. */
function rootOf(version: string): string {
  return (
    execFileSync('.ci/rootfs', [version], { encoding: 'utf8' }).trim().split('\n').at(-1) ?? ''
  );
}

async function timed(world: World): Promise<number> {
  const started = performance.now();
  const client = await connected(world);
  const took = performance.now() - started;
  await client.end();
  return took;
}

/** A client's start to its connection, with each kind of hooks in turn. */
async function measureConnectOf(plan: Plan, version: string): Promise<readonly Row[]> {
  const world = await openWorld({
    dist: DIST,
    transport: 'udp',
    plan: { root: rootOf(version), show: [process.cwd(), process.execPath] },
  });
  try {
    await world.startServer();
    await world.writeProfile(true);
    const product = await installProduct(world.sandbox, DIST, settingsFor('nftables'));
    await product.must('lock');
    const client = await connected(world);
    place(world.sandbox, RULES, world.sandbox.run(['nft', 'list', 'ruleset']).stdout);
    await client.end();
    const samples: Samples = new Map();
    for (let repeat = 0; repeat < plan.repeats * TURNS; repeat++)
      for (const hooks of repeat % 2 === 0 ? CONNECTS : CONNECTS.toReversed()) {
        await product.must(hooks === 'our hooks' ? 'lock' : 'unlock');
        const other = OTHER_HOOKS[hooks];
        if (other !== undefined) place(world.sandbox, OTHER_HOOK, other);
        await world.writeProfile(
          hooks === 'our hooks',
          INTERNET.vpn4,
          other === undefined ? {} : { more: ['script-security 2', `up ${OTHER_HOOK}`] },
        );
        add(samples, `OpenVPN ${version}, ${hooks}`, await timed(world));
        world.sandbox.run(['sh', '-c', EMPTY]);
      }
    return rowsOf(samples);
  } finally {
    world.close();
  }
}

/** Each version of OpenVPN compares with itself. */
export async function measureConnect(plan: Plan): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const version of ['2.6', '2.7']) rows.push(...(await measureConnectOf(plan, version)));
  return rows;
}

/**
 * How often each state is measured in the time of one repeat, each time for a part of a second:
 * what the machine does besides changes within seconds, and by more than rules cost.
 */
const TURNS = 5;
const PARTS = 8;

/** The rules while traffic is measured; the others are compared with the first. */
const STATES = [
  UNLOCKED,
  'unlocked, connections tracked',
  'locked, nftables',
  'locked, iptables',
  "bash hook's rules",
  "rules like a big provider's",
] as const;
type State = (typeof STATES)[number];

async function bring(world: World, product: Product, state: State): Promise<void> {
  // Another backend takes the place of the one before only on an unlocked machine.
  await product.must('unlock');
  const { status: emptied, stderr: why } = world.sandbox.run(['sh', '-c', EMPTY]);
  if (emptied !== 0) throw new Error(why);
  const load = (
    program: readonly string[],
    stdin: string,
    env: Readonly<Record<string, string>> = {},
  ) => {
    const { status, stderr } = world.sandbox.run(program, { stdin, env });
    if (status !== 0) throw new Error(stderr);
  };
  switch (state) {
    case 'unlocked':
      return;
    case 'unlocked, connections tracked':
      load(['nft', '-f', '/dev/stdin'], TRACKING);
      return;
    case 'locked, nftables':
    case 'locked, iptables':
      await writeSettings(
        world.sandbox,
        settingsFor(state === 'locked, nftables' ? 'nftables' : 'iptables'),
      );
      await product.must('lock');
      return;
    case "bash hook's rules":
      load(['bash', '-s'], CALLS_HOOK, {
        dev: 'tun0',
        remote_1: INTERNET.vpn4,
        remote_port_1: '1194',
        proto_1: 'udp',
      });
      return;
    case "rules like a big provider's":
      load(['nft', '-f', '/dev/stdin'], providerTable({ server: INTERNET.vpn4, port: 1194 }));
      return;
    default:
      state satisfies never;
  }
}

/**
 * Brings a state about once, as it is in earnest, and returns what loads the same rules again
 * within milliseconds.
 */
async function loaderOf(world: World, product: Product, state: State): Promise<() => void> {
  await bring(world, product, state);
  const said = (program: readonly string[], stdin?: string) => {
    const { status, stdout, stderr } = world.sandbox.run(
      program,
      stdin === undefined ? {} : { stdin },
    );
    if (status !== 0) throw new Error(stderr);
    return stdout;
  };
  const families = ['iptables', 'ip6tables'].map((tool) => ({
    restore: [`${tool}-restore`],
    rules: said([`${tool}-save`]),
  }));
  // nft(8) cannot load again the rules that iptables has loaded.
  const isOfIptables = families.some(({ rules }) => rules.includes('\n-A '));
  const rules = isOfIptables ? '' : said(['nft', 'list', 'ruleset']);
  return () => {
    said(['nft', '-f', '/dev/stdin'], `flush ruleset\n${rules}`);
    if (isOfIptables) for (const family of families) said(family.restore, family.rules);
  };
}

/**
 * Has every process of the sandbox that is there now, and all that they start, run on one
 * processor.
 */
function pin(
  world: World,
  processor: number,
  except: ReadonlySet<string> = new Set(),
): ReadonlySet<string> {
  const names = world.sandbox.run(['ls', '/proc']).stdout.split('\n');
  const processes = names.filter((name) => /^\d+$/.test(name) && !except.has(name));
  for (const each of processes) world.sandbox.run(['taskset', '-acp', String(processor), each]);
  return new Set(processes);
}

/**
 * One connection in each state in turn: two connections of the same client differ by more than the
 * rules cost. Nothing listens at the uplink, and this machine has one processor and all others the
 * second: where the scheduler puts five processes would decide.
 */
export async function measureTunnel(plan: Plan): Promise<readonly Row[]> {
  const { world, product } = await open(plan, 'nftables');
  try {
    await world.capture.end();
    const [here, there] = availableParallelism() > 1 ? [0, 1] : [0, 0];
    const others = pin(world, there);
    await product.must('lock');
    const client = await connected(world);
    pin(world, here, others);
    const samples: Samples = new Map(
      KINDS.flatMap((kind) => STATES.map((state) => [`${kind}, ${state}`, []])),
    );
    const loaders: { readonly state: State; readonly load: () => void }[] = [];
    for (const state of STATES)
      loaders.push({ state, load: await loaderOf(world, product, state) });
    for (let turn = 0; turn < plan.repeats * TURNS; turn++)
      for (const { state, load } of turn % 2 === 0 ? loaders : loaders.toReversed()) {
        load();
        for (const kind of KINDS) {
          const orders = {
            kind,
            address: INTERNET.web4,
            port: PORT,
            milliseconds: (plan.seconds * 1000) / PARTS,
          };
          add(
            samples,
            `${kind}, ${state}`,
            await traffic(world.sandbox, plan.tools, orders, ['taskset', '-c', String(here)]),
          );
        }
      }
    await client.end();
    // Each kind compares with itself.
    return KINDS.flatMap((kind) =>
      rowsOf(
        new Map(
          STATES.map((state) => [`${kind}, ${state}`, samples.get(`${kind}, ${state}`) ?? []]),
        ),
      ),
    );
  } finally {
    world.close();
  }
}
