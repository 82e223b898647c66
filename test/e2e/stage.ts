import { resolve } from 'node:path';
import { afterAll, beforeAll, type TestContext } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import type { Tally } from '../../src/proof/capture.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED, PUSHES, type ServerPlan } from '../../src/proof/openvpn.ts';
import type { ProberRun } from '../../src/proof/prober-run.ts';
import type { Transport } from '../../src/proof/probes.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import type { Service } from '../../src/proof/service.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import type { MachinePlan } from '../support/machine.ts';

export const DIST = resolve(import.meta.dirname, '../../dist');

/**
 * Payloads per second over UDP, and connects per second for each kind over TCP: one or the other
 * every half millisecond.
 */
const RATE = { payloads: 1800, connects: 20 } as const;

/** A world with the product installed, a server that runs and a prober that never stops. */
export interface Stage {
  readonly world: World;
  readonly product: Product;
  readonly prober: ProberRun;
  /** The VPN server; a dead one is started again. */
  server(): Promise<Service>;
  /** A client that has connected; started when there is none. */
  client(): Promise<Service>;
  /** Connects once more: does `work` to the client and waits until it has. */
  reconnects(work: (client: Service) => void | Promise<void>): Promise<void>;
  /** Lets the prober go on for a while, through every kind of probe. */
  probing(): Promise<void>;
}

/** Hooks hold up the client's pings on a busy machine, for longer than the proof's timers allow. */
const RESTART = 'ping-restart 10';
const SERVER: ServerPlan = { pushes: [...PUSHES, RESTART], more: [RESTART] };

/** The parts of a stage. */
export interface StageSetting {
  readonly backend: BackendName;
  readonly transport: Transport;
  readonly plan?: MachinePlan;
}

export interface StageUse {
  /** The stage; a test that asks where none can be made is skipped, with the reason. */
  stage(context: TestContext): Stage;
  /** Adds to the lines printed at the end. */
  tell(tally: Tally): void;
}

async function open({ backend, transport, plan }: StageSetting): Promise<Stage> {
  const world = await openWorld({ dist: DIST, transport, ...(plan === undefined ? {} : { plan }) });
  try {
    const product = await installProduct(world.sandbox, DIST, `KILLSWITCH_BACKEND=${backend}\n`);
    await world.writeProfile(true);
    let server = await world.startServer(SERVER);
    let client: Service | undefined;
    const prober = await world.startProber({ probes: world.probes, ...RATE, seconds: 3600 });
    const connected = async () => {
      if (client?.running() !== true) {
        client = world.startClient();
        await client.says(CONNECTED);
      }
      return client;
    };
    return {
      world,
      product,
      prober,
      server: async () => {
        if (!server.running()) server = await world.startServer(SERVER);
        return server;
      },
      client: connected,
      reconnects: async (work) => {
        const current = await connected();
        const before = current.times(CONNECTED);
        await work(current);
        await current.says(CONNECTED, before + 1, 60_000);
      },
      probing: () => prober.more(900),
    };
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

/** One stage for all tests of a file; at the end it says how much was sent and seen. */
export function stageWith(setting: StageSetting): StageUse {
  const { backend, transport, plan } = setting;
  let opened: Stage | undefined;
  let obstacle: string | undefined;
  const seen = { clear: 0, vpn: 0 };
  beforeAll(async () => {
    obstacle = missingRequirements() ?? plan?.obstacle;
    if (obstacle === undefined) opened = await open(setting);
  });
  afterAll(async () => {
    if (opened === undefined) return;
    const { world, prober } = opened;
    const probes = prober.tried().toLocaleString('en');
    process.stdout.write(
      `${backend}, ${transport}: ${probes} probes sent; captured while locked: ${seen.clear} in clear, ${seen.vpn.toLocaleString('en')} of the VPN\n`,
    );
    if (world.missing !== undefined) process.stdout.write(`not sent: ${world.missing}\n`);
    world.close();
  });
  return {
    stage: (context) => {
      if (obstacle !== undefined) context.skip(obstacle);
      if (opened === undefined) throw new Error('the stage was not made');
      return opened;
    },
    tell: ({ clear, vpn }) => {
      seen.clear += clear;
      seen.vpn += vpn;
    },
  };
}
