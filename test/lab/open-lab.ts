import type { BackendName } from '../../src/policy/settings.ts';
import type { Tally } from '../../src/proof/capture.ts';
import { type ClientPlan, CONNECTED, PUSHES, type ServerPlan } from '../../src/proof/openvpn.ts';
import type { Probe, ProberOrders } from '../../src/proof/probes.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import type { Service } from '../../src/proof/service.ts';
import { openWorld } from '../../src/proof/world.ts';
import type { MachinePlan } from '../support/machine.ts';
import { nothingLeaves, type Watched } from '../support/watched.ts';

/** Payloads per second over UDP, and connects per second for each kind over TCP. */
const RATE = { payloads: 1200, connects: 20 } as const;

/**
 * Hooks hold up the client's pings: on a busy machine for longer than the proof's timers allow. For
 * either end.
 */
export const PATIENT = 'ping-restart 30';

/** A server whose clients outlast a busy machine. */
export const PATIENT_SERVER: ServerPlan = { pushes: [...PUSHES, PATIENT], more: [PATIENT] };

/** A world for many servers and clients, one after the other, with a prober that never stops. */
export interface Lab extends Watched {
  readonly product: Product;
  /**
   * Ends the server that runs, if any, without telling its client, and starts one with this plan.
   */
  serve(plan?: ServerPlan): Promise<Service>;
  server(): Service;
  /** Ends the client, if one runs, writes this profile and lets `lock` know it. */
  profile(plan?: ClientPlan, remote?: string): Promise<void>;
  /** Starts the client and waits until it has connected. */
  connect(): Promise<Service>;
  client(): Service;
  /** Connects once more: does `work` to the client and waits until it has. */
  reconnects(work: () => unknown): Promise<void>;
  /** Ends the client, if one runs. */
  disconnect(): Promise<void>;
  /** Does `work`; nothing but the VPN and the LAN's own leaves. */
  guarded(work: () => Promise<void>): Promise<Tally>;
}

/** The parts of a lab. */
export interface LabPlan {
  /** The folder of the built programs. */
  readonly dist: string;
  readonly plan: MachinePlan;
  readonly backend: BackendName;
  /** Sent besides the usual probes. */
  readonly probes?: readonly Probe[];
  readonly rate?: Pick<ProberOrders, 'payloads' | 'connects'>;
  readonly seconds?: number;
  /** The account that probes, where it is not the usual one. */
  readonly uid?: number;
  /** How many probes are sent after each guarded work. */
  readonly probing?: number;
}

/** Makes a lab; what it captures while it guards is added to `seen`. */
export async function openLab(
  {
    dist,
    plan,
    backend,
    probes: more = [],
    rate = RATE,
    seconds = 3600,
    probing = 600,
    uid,
  }: LabPlan,
  seen: { clear: number; vpn: number },
): Promise<Lab> {
  const world = await openWorld({ dist, transport: 'udp', plan });
  try {
    const product = await installProduct(world.sandbox, dist, `KILLSWITCH_BACKEND=${backend}\n`);
    const probes = [...world.probes, ...more];
    const prober = await world.startProber({
      probes,
      ...rate,
      seconds,
      ...(uid !== undefined && { uid }),
    });
    let server: Service | undefined;
    let client: Service | undefined;
    const running = (service: Service | undefined): Service => {
      if (service === undefined) throw new Error('it has not been started');
      return service;
    };
    const lab: Lab = {
      world,
      product,
      prober,
      probes,
      probing: () => prober.more(probing),
      serve: async (plan) => {
        if (server?.running() === true) await server.end('KILL');
        server = await world.startServer(plan);
        return server;
      },
      server: () => running(server),
      profile: async (plan, remote) => {
        await lab.disconnect();
        await world.writeProfile(true, remote, plan);
        await product.must('lock');
      },
      connect: async () => {
        client = world.startClient();
        await client.says(CONNECTED);
        return client;
      },
      client: () => running(client),
      reconnects: async (work) => {
        const current = running(client);
        const before = current.times(CONNECTED);
        await work();
        await current.says(CONNECTED, before + 1, 60_000);
      },
      disconnect: async () => {
        if (client?.running() === true) await client.end('TERM');
      },
      guarded: (work) =>
        nothingLeaves(lab, work, ({ clear, vpn }) => {
          seen.clear += clear;
          seen.vpn += vpn;
        }),
    };
    return lab;
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}
