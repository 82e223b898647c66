import { describe, expect, test } from 'vitest';
import { DEVICE, INTERNET, LAN, VPN } from '../../src/proof/addresses.ts';
import { RESTARTING } from '../../src/proof/openvpn.ts';
import { writeSettings } from '../../src/proof/product.ts';
import { FOREIGN_DNS_VISITS, LAN_VISITS, WEB_VISITS } from '../../src/proof/services.ts';
import { endCapture } from '../support/end-capture.ts';
import { everyProbeIsSeen, nothingLeaves as watch } from '../support/watched.ts';
import { type Stage, type StageSetting, stageWith } from './stage.ts';

/** A break, and how the client comes back. It probes all the time. */
interface Fault {
  readonly name: string;
  happen(stage: Stage): Promise<void>;
}

async function ip(stage: Stage, ...args: readonly string[]): Promise<void> {
  const { status, stderr } = await stage.world.sandbox.ask(['ip', ...args]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
}

const FAULTS: readonly Fault[] = [
  {
    name: 'kill -9 of the client',
    happen: async (stage) => {
      await (await stage.client()).end('KILL');
      await stage.probing();
      // Nobody reported the end: the rules still are what they were, and nothing can use a device
      // that is gone.
      expect(await stage.product.command('status')).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('GONE'),
      });
      await stage.client();
    },
  },
  {
    name: 'SIGUSR1, a restart of the connection',
    happen: (stage) => stage.reconnects((client) => client.signal('USR1')),
  },
  {
    name: 'SIGHUP, a restart of the client',
    happen: (stage) => stage.reconnects((client) => client.signal('HUP')),
  },
  {
    name: 'SIGTERM, the end of the client',
    happen: async (stage) => {
      await (await stage.client()).end('TERM');
      await stage.probing();
      expect(await stage.product.command('status')).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('LOCKED: blocked'),
      });
      await stage.client();
    },
  },
  {
    name: 'the device deleted',
    happen: (stage) =>
      stage.reconnects(async (client) => {
        await ip(stage, 'link', 'delete', DEVICE);
        await stage.probing();
        client.signal('HUP');
      }),
  },
  {
    name: 'the device set down',
    happen: (stage) =>
      stage.reconnects(async (client) => {
        await ip(stage, 'link', 'set', DEVICE, 'down');
        await stage.probing();
        client.signal('USR1');
      }),
  },
  {
    name: 'the uplink down and up again',
    happen: (stage) =>
      stage.reconnects(async () => {
        await stage.world.uplinkDown();
        await stage.probing();
        await stage.world.uplinkUp();
      }),
  },
  {
    name: 'the death of the server, until the client gives up and it is back',
    happen: (stage) =>
      stage.reconnects(async (client) => {
        const before = client.times(RESTARTING);
        await (await stage.server()).end('KILL');
        await client.says(RESTARTING, before + 1);
        await stage.probing();
        await stage.server();
      }),
  },
];

/**
 * The promises about what leaves, on one backend and one transport. The tests tell one story: each
 * goes on from the one before.
 */
export function specifyLeaks(setting: StageSetting): void {
  const { backend, transport } = setting;
  describe(`with ${backend}, a VPN over ${transport}`, () => {
    const { stage: on, tell } = stageWith(setting);

    const settings = (more: readonly string[]) =>
      [`KILLSWITCH_BACKEND=${backend}`, ...more, ''].join('\n');

    async function nothingLeaves(stage: Stage, work: () => Promise<void>): Promise<number> {
      return (await watch(stage, work, tell)).vpn;
    }

    /** Whether the rules in the kernel are exactly those of this state. */
    async function rulesAreExact(stage: Stage, headline: string): Promise<void> {
      const { status, stdout, stderr } = await stage.product.command('status');
      expect(stdout + stderr).toContain(headline);
      expect(stdout + stderr).toContain(backend);
      expect(status).toBe(0);
    }

    /** Whether a user's traffic takes the tunnel. */
    async function tunnelCarries(stage: Stage): Promise<void> {
      const visited = await stage.world.visit(WEB_VISITS);
      expect(visited).toMatchObject({
        echo4: 'echo',
        echo6: 'echo',
        dns4: 'web host',
        dns6: 'web host',
      });
      expect(visited['page4']).toMatch(/^10\.8\.0\./);
      expect(visited['page6']).toMatch(/^fd00:8::/);
    }

    test('every kind of probe is seen at the router while nothing is locked', async (context) => {
      const stage = on(context);
      await everyProbeIsSeen(stage);
      expect((await stage.product.command('status')).status).toBe(1);
    });

    test('nothing leaves once it is locked, before the first connection', async (context) => {
      const stage = on(context);
      await stage.product.must('lock');
      expect(await nothingLeaves(stage, async () => undefined)).toBe(0);
      await rulesAreExact(stage, 'LOCKED: blocked');
    });

    test('nothing leaves in clear while it connects and while it is connected', async (context) => {
      const stage = on(context);
      const vpn = await nothingLeaves(stage, async () => {
        await stage.client();
        await stage.probing();
      });
      expect(vpn).toBeGreaterThan(100);
      await rulesAreExact(stage, 'LOCKED: connected');
    });

    test('the prober is not root, so that it may not speak to the endpoint', (context) => {
      const stage = on(context);
      if (stage.world.missing !== undefined) context.skip(stage.world.missing);
      expect(stage.prober.report().uid).not.toBe(0);
    });

    test('ping, TCP, UDP and DNS work through the tunnel, over IPv4 and IPv6', async (context) => {
      const stage = on(context);
      await tunnelCarries(stage);
      for (const address of [INTERNET.web4, INTERNET.web6, VPN.resolver4, VPN.resolver6])
        expect(await stage.world.ping(address)).toBe(true);
    });

    test('ping, TCP and UDP work on the LAN', async (context) => {
      const stage = on(context);
      expect(await stage.world.visit(LAN_VISITS)).toEqual({
        page4: LAN.client4,
        page6: LAN.client6,
        echo4: 'echo',
        echo6: 'echo',
      });
      for (const address of [LAN.host4, LAN.host6])
        expect(await stage.world.ping(address)).toBe(true);
    });

    test('no resolver of the LAN or the ISP answers, on ports 53 and 853', async (context) => {
      const stage = on(context);
      const none = Object.fromEntries(FOREIGN_DNS_VISITS.map(({ name }) => [name, null]));
      expect(await stage.world.visit(FOREIGN_DNS_VISITS, 500)).toEqual(none);
    });

    for (const { name, happen } of FAULTS)
      test(`nothing leaves in clear on ${name}, and it connects again`, async (context) => {
        const stage = on(context);
        await stage.client();
        const vpn = await nothingLeaves(stage, () => happen(stage));
        expect(vpn).toBeGreaterThan(100);
        await tunnelCarries(stage);
        await rulesAreExact(stage, 'LOCKED: connected');
      });

    test('a hole made on purpose is seen, and nothing else', async (context) => {
      const stage = on(context);
      const { world, product } = stage;
      await stage.client();
      await writeSettings(world.sandbox, settings([`KILLSWITCH_LAN_DNS=${LAN.router4}`]));
      await product.must('lock');
      await world.capture.tally();
      await stage.probing();
      const { byName } = await world.capture.tally();
      expect(Object.keys(byName).sort()).toEqual(['lan-dns-tcp', 'lan-dns4', 'lan-encrypted-dns']);
      await writeSettings(world.sandbox, settings([]));
      await product.must('lock');
      expect(await nothingLeaves(stage, async () => undefined)).toBeGreaterThan(0);
      await rulesAreExact(stage, 'LOCKED: connected');
    });

    test('every kind of probe is seen again after unlock, and the capture has lost nothing', async (context) => {
      const stage = on(context);
      const client = await stage.client();
      await client.end('TERM');
      await stage.product.must('unlock');
      await everyProbeIsSeen(stage);
      expect((await stage.product.command('status')).status).toBe(1);
      await endCapture(context, stage.world.capture);
    });
  });
}
