import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { DEVICE, INTERNET, OTHER_VPN, PORTS, VPN } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import {
  CONNECTED,
  PROFILE,
  PUSHES,
  RESTARTING,
  type ServerPlan,
} from '../../src/proof/openvpn.ts';
import type { Transport } from '../../src/proof/probes.ts';
import { installProduct, type Product, writeSettings } from '../../src/proof/product.ts';
import type { Service, Signal } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { debianRoot, type OpenvpnVersion } from '../support/debian-root.ts';
import { endCapture } from '../support/end-capture.ts';
import { dumpWithoutKeptShut, type RuleDump } from '../support/rule-dump.ts';
import { everyProbeIsSeen, nothingLeaves, type Watched } from '../support/watched.ts';
import { type Combination, exceptionFor, RECONNECTS, type Reconnect } from './comebacks.ts';
import { endpointIn, factsAreTrue, kernelFacts, statusOf } from './facts.ts';

export interface LifecycleSetting {
  readonly version: OpenvpnVersion;
  readonly backend: (combination: Combination) => BackendName;
}

/** A VPN server. The profile names both, FIRST before SECOND. */
interface Site {
  readonly address: string;
  readonly port: number;
  readonly resolver: string;
  readonly plan: ServerPlan;
}

/**
 * A client neither speaks nor listens while its hooks run: on a busy machine for longer than the
 * proof's timers allow. The server need not miss it at all; how soon the client misses the server
 * is what every cell over UDP has to wait for.
 */
const SERVER_WAITS = ['ping-restart 60'];
const CLIENT_WAITS = 'ping-restart 6';

const FIRST: Site = {
  address: INTERNET.vpn4,
  port: PORTS.vpn,
  resolver: VPN.resolver4,
  plan: { pushes: [...PUSHES, CLIENT_WAITS], more: SERVER_WAITS },
};

const SECOND: Site = {
  address: INTERNET.moved4,
  port: PORTS.otherVpn,
  resolver: OTHER_VPN.resolver4,
  plan: {
    tunnel: [
      'dev srv1',
      'dev-type tun',
      'topology subnet',
      `server ${OTHER_VPN.network4} ${OTHER_VPN.mask4}`,
      `server-ipv6 ${OTHER_VPN.network6}`,
    ],
    pushes: [
      ...PUSHES.map((push) =>
        push
          .replace(VPN.resolver4, OTHER_VPN.resolver4)
          .replace(VPN.resolver6, OTHER_VPN.resolver6),
      ),
      CLIENT_WAITS,
    ],
    more: [`port ${PORTS.otherVpn}`, ...SERVER_WAITS],
  },
};

/**
 * Payloads per second over UDP, and connects per second for each kind over TCP: little, because
 * several worlds share the machine.
 */
const RATE = { payloads: 400, connects: 5 } as const;

/**
 * Nobody's packets may go to the endpoint when the profile says `user nobody`: the probes come from
 * another account.
 */
const SOMEBODY = 65533;

/**
 * The try at a server that is there at which OpenVPN counts as trying in vain: those before have
 * failed.
 */
const TRIES = 3;

/**
 * A world with the product installed, a prober that never stops, and at most one server and one
 * client.
 */
interface Stage extends Watched {
  readonly product: Product;
  server: { readonly site: Site; readonly service: Service } | undefined;
  client: Service | undefined;
}

async function openStage(version: OpenvpnVersion, transport: Transport): Promise<Stage> {
  const world = await openWorld({ dist: DIST, transport, plan: debianRoot(version) });
  try {
    const product = await installProduct(world.sandbox, DIST, '');
    const prober = await world.startProber({
      probes: world.probes,
      ...RATE,
      seconds: 3600,
      uid: SOMEBODY,
    });
    return {
      world,
      product,
      prober,
      probes: world.probes,
      probing: () => prober.more(200),
      server: undefined,
      client: undefined,
    };
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

async function killServer(stage: Stage): Promise<void> {
  await stage.server?.service.end('KILL');
  stage.server = undefined;
}

/** Lets this server run, and no other. */
async function serve(stage: Stage, site: Site): Promise<void> {
  if (stage.server?.site === site) return;
  await killServer(stage);
  stage.server = { site, service: await stage.world.startServer(site.plan) };
}

async function endClient(stage: Stage, signal: Signal = 'TERM'): Promise<void> {
  if (stage.client?.running() === true) await stage.client.end(signal);
  stage.client = undefined;
}

/** A client that has connected anew to this server. */
async function connect(stage: Stage, site: Site): Promise<Service> {
  await endClient(stage);
  await serve(stage, site);
  // A client that ends without root leaves the routes to its servers behind: the next one would
  // find its way around its own tunnel.
  await stage.world.sandbox.ask(['ip', 'route', 'flush', 'root', `${INTERNET.vpn4}/24`]);
  const client = stage.world.startClient();
  stage.client = client;
  await client.says(CONNECTED, 1, 60_000);
  return client;
}

/** Whether a client is connected to this server, as far as it has noticed. */
function isOn(client: Service, { address, port }: Site): boolean {
  const said = client.said();
  return (
    said.lastIndexOf(CONNECTED) > said.lastIndexOf(RESTARTING) &&
    endpointIn(said).startsWith(`${address}:${port}/`)
  );
}

/** The client that is connected to the first server; where none is, a new one. */
async function connected(stage: Stage): Promise<Service> {
  const { client, server } = stage;
  if (client?.running() === true && server?.site === FIRST && isOn(client, FIRST)) return client;
  return connect(stage, FIRST);
}

/**
 * Writes the profile with the switch's hooks, or with hooks that do nothing: without any,
 * `up-restart` would mean nothing.
 */
async function writeProfile(
  { world }: Stage,
  { persistTun, upRestart, user }: Combination,
  switched: boolean,
): Promise<void> {
  await world.writeProfile(switched);
  const more = [
    `remote ${SECOND.address} ${SECOND.port}`,
    ...(persistTun ? ['persist-tun'] : []),
    ...(upRestart ? ['up-restart'] : []),
    ...(user === 'nobody' ? ['user nobody', 'group nogroup', 'persist-key'] : []),
    ...(switched
      ? []
      : ['script-security 2', ...['up', 'down', 'route-up'].map((hook) => `${hook} /bin/true`)]),
  ];
  await world.sandbox.ask(['sh', '-c', `cat >>${PROFILE}`], { stdin: `${more.join('\n')}\n` });
}

/**
 * All rules; the order of the chains in a table of nft, which is that in which they were made, says
 * nothing.
 */
function rulesOf({ world }: Stage): RuleDump {
  const dump = dumpWithoutKeptShut(world.sandbox);
  return {
    ...dump,
    nft: dump.nft
      .split(/\n(?=\tchain )|\n\}\n/)
      .map((part) => part.trim())
      .sort()
      .join('\n'),
  };
}

/** The events of a client, until it has to be back without help. */
const HAPPEN: Readonly<
  Record<
    Reconnect,
    { readonly site: Site; readonly happen: (stage: Stage, client: Service) => Promise<void> }
  >
> = {
  SIGUSR1: {
    site: FIRST,
    happen: async (_, client) => client.signal('USR1'),
  },
  'server killed and back': {
    site: FIRST,
    happen: async (stage, client) => {
      const before = client.times(RESTARTING);
      await killServer(stage);
      await client.says(RESTARTING, before + 1);
      await serve(stage, FIRST);
    },
  },
  'second remote': { site: SECOND, happen: (stage) => serve(stage, SECOND) },
};

type Outcome = 'comes back' | 'ends' | 'tries in vain';

/** Lets it happen, and tells what became of the connection. */
async function reconnect(stage: Stage, event: Reconnect): Promise<Outcome> {
  const { site, happen } = HAPPEN[event];
  const client = await connected(stage);
  const before = client.times(CONNECTED);
  await happen(stage, client);
  const from = client.said().length;
  const tries = () =>
    client.said().slice(from).split(`remote address: [AF_INET]${site.address}:${site.port}`)
      .length - 1;
  const back = () => client.times(CONNECTED) > before && isOn(client, site);
  await waitUntil(
    () => `the client to come back or give up; it said last:\n${client.said().slice(-2000)}`,
    () => back() || !client.running() || tries() >= TRIES,
    60_000,
  );
  if (back()) return 'comes back';
  return client.running() ? 'tries in vain' : 'ends';
}

interface StageUse {
  /** Undefined where none can be made. */
  opened(): Stage | undefined;
  /** The same for a test, which is skipped then. */
  on(context: TestContext): Stage;
}

/** One stage for the tests around the call. */
function stageFor(version: OpenvpnVersion, transport: Transport): StageUse {
  let stage: Stage | undefined;
  let obstacle: string | undefined;
  beforeAll(async () => {
    obstacle = missingRequirements() ?? debianRoot(version).obstacle;
    if (obstacle === undefined) stage = await openStage(version, transport);
  });
  afterAll(() => stage?.world.close());
  return {
    opened: () => stage,
    on: (context) => {
      if (obstacle !== undefined) context.skip(obstacle);
      if (stage === undefined) throw new Error('the stage was not made');
      return stage;
    },
  };
}

/**
 * The tests of one version: every combination with every event. A client that is connected to the
 * first server is where each test begins.
 */
export function specifyLifecycle({ version, backend: backendOf }: LifecycleSetting): void {
  function specifyCombination(combination: Combination, { opened, on }: StageUse): void {
    const { transport, user } = combination;
    const backend = backendOf(combination);
    /** The rules before the first connection, and those of the first one. */
    let base: RuleDump | undefined;
    let first: RuleDump | undefined;

    async function isBlocked(stage: Stage): Promise<void> {
      expect(await statusOf(stage.product)).toMatchObject({
        exit: 0,
        state: 'blocked',
        tunnels: [],
      });
      expect(rulesOf(stage)).toEqual(base);
    }

    /** The rules are those of the first connection, whose tunnel is gone or in use. */
    async function isAsItWas(stage: Stage, stale: boolean): Promise<void> {
      const tunnels = [
        { device: DEVICE, endpoints: [`${FIRST.address}:${FIRST.port}/${transport}`], stale },
      ];
      expect(await statusOf(stage.product)).toMatchObject({ exit: 0, state: 'connected', tunnels });
      expect(rulesOf(stage)).toEqual(first);
    }

    /**
     * The address inside is another one, and the rules of the first connection know the first
     * alone.
     */
    async function carriesNothing(stage: Stage): Promise<void> {
      const { page4, page6 } = await stage.world.visit([
        { name: 'page4', service: 'web', address: INTERNET.web4, port: PORTS.web },
        { name: 'page6', service: 'web', address: INTERNET.web6, port: PORTS.web },
      ]);
      expect([page4, page6]).toEqual([null, null]);
    }

    /** A user's view of the web and of the tunnel's DNS: at the far end, our own addresses. */
    async function carries(stage: Stage, site: Site): Promise<void> {
      const { addresses } = await kernelFacts(stage.world.sandbox, DEVICE);
      const { name4, page4, page6 } = await stage.world.visit([
        { name: 'page4', service: 'web', address: INTERNET.web4, port: PORTS.web },
        { name: 'page6', service: 'web', address: INTERNET.web6, port: PORTS.web },
        { name: 'name4', service: 'dns', address: site.resolver, port: PORTS.dns },
      ]);
      expect([page4, page6]).toEqual(addresses);
      expect(name4).toBe('web host');
    }

    /** The rules are what this connection needs, whose facts OpenVPN and the kernel tell. */
    async function isConnected(stage: Stage, site: Site, client: Service): Promise<void> {
      await factsAreTrue({ ...stage, client: () => client });
      await carries(stage, site);
    }

    /** It has not come back, for the reason that the table gives. */
    async function isLost(
      stage: Stage,
      event: Reconnect,
      how: 'ends' | 'tries in vain',
    ): Promise<void> {
      expect(await reconnect(stage, event)).toBe(how);
      if (how === 'ends')
        expect(stage.client?.said()).toMatch(/Cannot ioctl TUNSETIFF \S+: Operation not permitted/);
      else
        expect(
          (await stage.world.sandbox.ask(['ip', 'route', 'get', HAPPEN[event].site.address]))
            .stdout,
        ).toContain(`dev ${DEVICE} `);
    }

    /** Does work while all probes are sent: the VPN's packets leave, and no others. */
    async function onlyTheVpnLeaves(stage: Stage, work: () => Promise<void>): Promise<void> {
      const { vpn } = await nothingLeaves(stage, work);
      expect(vpn).toBeGreaterThan(0);
    }

    beforeAll(async () => {
      const stage = opened();
      if (stage === undefined) return;
      await endClient(stage);
      await stage.product.must('unlock');
      await writeSettings(stage.world.sandbox, `KILLSWITCH_BACKEND=${backend}\n`);
      await writeProfile(stage, combination, true);
      await stage.product.must('lock');
      expect(await stage.product.must('status')).toContain(backend);
      base = rulesOf(stage);
      await connect(stage, FIRST);
      first = rulesOf(stage);
    });

    /** A new client connects, with the rules of a first connection. */
    async function connectsAnew(stage: Stage): Promise<void> {
      await isConnected(stage, FIRST, await connect(stage, FIRST));
      expect(rulesOf(stage)).toEqual(first);
    }

    /** The same becomes of the connection where nothing is locked and the hooks do nothing. */
    async function isLostWithoutTheSwitch(
      stage: Stage,
      event: Reconnect,
      how: 'ends' | 'tries in vain',
    ): Promise<void> {
      await endClient(stage);
      await stage.product.must('unlock');
      try {
        await writeProfile(stage, combination, false);
        await isLost(stage, event, how);
      } finally {
        await endClient(stage);
        await writeProfile(stage, combination, true);
        await stage.product.must('lock');
      }
      await isBlocked(stage);
    }

    for (const event of RECONNECTS) {
      const { comeback = 'comes back', why } = exceptionFor(version, combination, event) ?? {};
      const { site } = HAPPEN[event];
      test(`${event}: ${comeback}${why === undefined ? '' : `, because ${why}`}`, async (context) => {
        const stage = on(context);
        await onlyTheVpnLeaves(stage, async () => {
          const client = await connected(stage);
          switch (comeback) {
            case 'comes back': {
              expect(await reconnect(stage, event)).toBe('comes back');
              await isConnected(stage, site, client);
              const rules = rulesOf(stage);
              if (site !== FIRST) await isConnected(stage, site, await connect(stage, site));
              expect(rules).toEqual(site === FIRST ? first : rulesOf(stage));
              break;
            }
            case 'comes back with the first rules':
              expect(await reconnect(stage, event)).toBe('comes back');
              await isAsItWas(stage, false);
              await carriesNothing(stage);
              await connectsAnew(stage);
              break;
            case 'ends':
            case 'tries in vain':
              await isLost(stage, event, comeback);
              await stage.probing();
              await isAsItWas(stage, comeback === 'ends');
              await connectsAnew(stage);
              break;
            default:
              comeback satisfies never;
          }
        });
        if (comeback === 'ends' || comeback === 'tries in vain')
          await isLostWithoutTheSwitch(stage, event, comeback);
      });
    }

    test(`SIGTERM: ${user === 'root' ? 'the rules before the first connection are back' : 'without root the rules stay for a device that is gone, until the next client connects'}`, async (context) => {
      const stage = on(context);
      await onlyTheVpnLeaves(stage, async () => {
        await connected(stage);
        await endClient(stage, 'TERM');
        await stage.probing();
        if (user === 'root') await isBlocked(stage);
        else await isAsItWas(stage, true);
        await connectsAnew(stage);
      });
    });

    test('kill -9: the rules stay for a device that is gone, and lock clears up', async (context) => {
      const stage = on(context);
      await onlyTheVpnLeaves(stage, async () => {
        await connected(stage);
        await endClient(stage, 'KILL');
        await stage.probing();
        await isAsItWas(stage, true);
        await stage.product.must('lock');
        await isBlocked(stage);
        await connectsAnew(stage);
      });
    });
  }

  const transports = ['udp', 'tcp'] as const;
  const either = [false, true] as const;
  const users = ['root', 'nobody'] as const;
  for (const transport of transports)
    for (const upRestart of either)
      describe.concurrent(`OpenVPN ${version}, ${transport}${upRestart ? ', up-restart' : ''}`, () => {
        const use = stageFor(version, transport);

        test.sequential('every kind of probe is seen at the router while nothing is locked', async (context) => {
          const stage = use.on(context);
          expect((await stage.product.command('status')).status).toBe(1);
          await everyProbeIsSeen(stage);
        });

        for (const persistTun of either)
          for (const user of users)
            describe.sequential(`${persistTun ? 'persist-tun' : 'no persist-tun'}, ${user}`, () =>
              specifyCombination({ transport, persistTun, upRestart, user }, use));

        test.sequential('the capture has lost nothing', async (context) => {
          await endCapture(context, use.on(context).world.capture);
        });
      });
}
