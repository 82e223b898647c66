import { DEVICE, PROGRAMS } from './addresses.ts';
import type { Tally } from './capture.ts';
import { CONNECTED, RESTARTING, type ServerPlan, waitingServer } from './openvpn.ts';
import type { ProberRun } from './prober-run.ts';
import { installProduct, type Product } from './product.ts';
import type { Service } from './service.ts';
import { WEB_VISITS } from './services.ts';
import { waitUntil } from './wait-until.ts';
import { openWorld, type World } from './world.ts';

/** The result of one chapter. */
export interface Chapter {
  readonly title: string;
  /** Seconds since the story began, at the chapter's end. */
  readonly at: number;
  readonly tally: Tally;
  /** Probes tried in it. */
  readonly tried: number;
  /** How many of the visits worked; undefined where the chapter makes none. */
  readonly worked: number | undefined;
}

interface Scene {
  readonly world: World;
  readonly prober: ProberRun;
  readonly server: Service;
  readonly serverPlan: ServerPlan;
  readonly client: Service | undefined;
}

export interface Act {
  readonly title: string;
  /** Whether the demo leaves it out, to end sooner. */
  readonly proofOnly?: true;
  /** Plays it, and returns the changed parts of the scene. */
  readonly play: (scene: Scene) => Promise<Partial<Pick<Scene, 'client' | 'server'>>>;
  /** Whether the tunnel is up at its end, for a user's visits. */
  readonly visits?: true;
}

function clientOf({ client }: Scene): Service {
  if (client === undefined) throw new Error('the client has not been started');
  return client;
}

async function connect({ world }: Scene): Promise<{ readonly client: Service }> {
  const client = world.startClient();
  await client.says(CONNECTED);
  return { client };
}

async function again(scene: Scene, work: (client: Service) => void | Promise<void>): Promise<void> {
  const client = clientOf(scene);
  const before = client.times(CONNECTED);
  await work(client);
  await client.says(CONNECTED, before + 1, 60_000);
}

const PAUSE = 1200;

/** How often a user asks again: a busy machine loses packets. */
const TRIES = 3;

/** Counts how many of a user's visits work. */
async function worksIn(world: World): Promise<number> {
  let left = WEB_VISITS;
  for (let tries = 0; tries < TRIES && left.length > 0; tries++) {
    const visited = await world.visit(left);
    left = left.filter(({ name }) => visited[name] === null);
  }
  return WEB_VISITS.length - left.length;
}

const RECONNECT: Act = {
  title: 'it reconnects (SIGUSR1)',
  proofOnly: true,
  play: async (scene) => {
    await again(scene, (client) => client.signal('USR1'));
    return {};
  },
  visits: true,
};

/** The story with every fault: the prober sends throughout each act. */
export const ACTS: readonly Act[] = [
  { title: 'not connected yet', play: async () => ({}) },
  { title: 'openvpn connects', play: connect },
  { title: 'browsing, DNS, IPv6', play: async () => ({}), visits: true },
  {
    title: 'kill -9 of openvpn',
    play: async (scene) => {
      await clientOf(scene).end('KILL');
      return {};
    },
  },
  { title: 'openvpn starts again', play: connect, visits: true },
  RECONNECT,
  {
    title: 'tun0 is set down',
    proofOnly: true,
    play: async ({ world }) => {
      await world.sandbox.ask(['ip', 'link', 'set', DEVICE, 'down']);
      return {};
    },
  },
  RECONNECT,
  {
    title: 'the uplink goes and comes',
    proofOnly: true,
    play: async (scene) => {
      const { world, prober } = scene;
      await again(scene, async () => {
        await world.uplinkDown();
        await prober.more(PAUSE);
        await world.uplinkUp();
      });
      return {};
    },
    visits: true,
  },
  {
    title: 'tun0 is deleted',
    play: async ({ world }) => {
      await world.sandbox.ask(['ip', 'link', 'delete', DEVICE]);
      return {};
    },
  },
  {
    title: 'openvpn restarts (SIGHUP)',
    play: async (scene) => {
      await again(scene, (client) => client.signal('HUP'));
      return {};
    },
    visits: true,
  },
  {
    title: 'the VPN server dies',
    play: async (scene) => {
      const client = clientOf(scene);
      const before = client.times(RESTARTING);
      await scene.server.end('KILL');
      await client.says(RESTARTING, before + 1);
      return {};
    },
  },
  {
    title: 'the server is back',
    play: async (scene) => {
      const client = clientOf(scene);
      const before = client.times(CONNECTED);
      const server = await scene.world.startServer(scene.serverPlan);
      await client.says(CONNECTED, before + 1, 60_000);
      return { server };
    },
    visits: true,
  },
  {
    title: 'openvpn ends (SIGTERM)',
    play: async (scene) => {
      await clientOf(scene).end('TERM');
      return {};
    },
  },
];

export const DEMO_ACTS: readonly Act[] = ACTS.filter(({ proofOnly }) => proofOnly !== true);

/** How many visits a user makes in an act with visits. */
export const THINGS = WEB_VISITS.length;

export interface StoryOptions {
  readonly dist: string;
  readonly acts: readonly Act[];
  /** The settings of the switch; undefined to play without it. */
  readonly settings: string | undefined;
  /** Called with the world as soon as it exists, so that it can be closed early. */
  readonly onWorld: (world: World) => void;
  readonly onChapter: (chapter: Chapter) => void;
}

/** The result of a story beyond its chapters. */
export interface StoryEnd {
  /** How many kinds of probes there are. Each was seen in clear before the lock. */
  readonly kinds: number;
  readonly missing: string | undefined;
  /** Packets that tcpdump lost: a count is only sound at zero. */
  readonly lost: number;
  /** The output of `status` at the end; undefined without the switch. */
  readonly status: string | undefined;
}

/**
 * Checks the control, while nothing is locked: a probe that the capture misses now proves nothing
 * later.
 */
async function everyProbeIsSeen({ capture, probes }: World): Promise<void> {
  const missing = () =>
    probes.map(({ name }) => name).filter((name) => !((capture.soFar().byName[name] ?? 0) > 0));
  await waitUntil(
    () => `the capture to see what leaves while nothing is locked: ${missing().join(', ')}`,
    () => missing().length === 0,
  );
}

/** The longest silence, in seconds: an act waits until it is noticed. */
const LONGEST_SILENCE = 30;

/**
 * Returns the seconds that the server waits for a silent client on a machine where `lock` took so
 * many. A hook takes about as long, and the client says nothing meanwhile.
 */
function silenceFor(lockSeconds: number): number {
  return Math.min(Math.ceil(3 * lockSeconds), LONGEST_SILENCE);
}

/**
 * Plays the story once, in a world of its own.
 * @throws Error when a part of the world does not work as it should.
 */
export async function playStory({
  dist,
  acts,
  settings,
  onWorld,
  onChapter,
}: StoryOptions): Promise<StoryEnd> {
  const world = await openWorld({ dist, transport: 'udp' });
  onWorld(world);
  try {
    await world.writeProfile(settings !== undefined);
    const product: Product | undefined =
      settings !== undefined ? await installProduct(world.sandbox, PROGRAMS, settings) : undefined;
    const prober = await world.startProber({
      probes: world.probes,
      payloads: 1000,
      connects: 10,
      seconds: 600,
    });
    await everyProbeIsSeen(world);
    const since = performance.now();
    await product?.must('lock');
    const serverPlan = waitingServer(silenceFor((performance.now() - since) / 1000));
    const server = await world.startServer(serverPlan);
    let scene: Scene = { world, server, serverPlan, prober, client: undefined };
    await world.capture.tally();
    const start = performance.now();
    let tried = scene.prober.tried();
    for (const { title, play, visits } of acts) {
      scene = { ...scene, ...(await play(scene)) };
      const worked = visits === true ? await worksIn(world) : undefined;
      await scene.prober.more(PAUSE);
      const tally = await world.capture.tally();
      onChapter({
        title,
        at: (performance.now() - start) / 1000,
        tally,
        tried: scene.prober.tried() - tried,
        worked,
      });
      tried = scene.prober.tried();
    }
    const status = await product?.must('status');
    return {
      kinds: world.probes.length,
      missing: world.missing,
      lost: await world.capture.end(),
      status: status?.split('\n')[0],
    };
  } finally {
    world.close();
  }
}
