import { afterEach, describe, expect, type TestContext, test } from 'vitest';
import { NODE, PORTS, VPN } from '../../src/proof/addresses.ts';
import { PUSHES, RESTARTING, type ServerPlan } from '../../src/proof/openvpn.ts';
import { marker, type Probe } from '../../src/proof/probes.ts';
import { type Service, startService } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import type { OpenvpnVersion } from '../support/debian-root.ts';
import { everyProbeIsSeen } from '../support/watched.ts';
import { factsAreTrue, statusOf } from './facts.ts';
import { labWith } from './lab.ts';
import { type Lab, PATIENT } from './open-lab.ts';

/** A private network behind the server, and a host there. */
const BEHIND = {
  network4: '10.66.0.0',
  host4: '10.66.0.5',
  network6: 'fd66::/64',
  host6: 'fd66::5',
} as const;
const HELD_PORT = 4000;

const ROUTED = [`route ${BEHIND.network4} 255.255.0.0`, `route-ipv6 ${BEHIND.network6}`];
const USUAL: ServerPlan = { pushes: [...PUSHES, ...ROUTED, PATIENT], more: [PATIENT] };
/** A server whose client notices soon that it is gone. */
const SOON_MISSED: ServerPlan = { ...USUAL, pushes: [...PUSHES, ...ROUTED] };

const probe = (
  name: string,
  transport: Probe['transport'],
  address: string,
  port: number,
): Probe => ({
  name,
  transport,
  address,
  port,
  question: false,
});

/**
 * The tunnel's addresses: a network that the server pushes, and the server's own address
 * inside.
 */
const PROBES: readonly Probe[] = [
  probe('behind4', 'udp', BEHIND.host4, PORTS.echo),
  probe('behind6', 'udp', BEHIND.host6, PORTS.echo),
  probe('behind-tcp4', 'tcp', BEHIND.host4, PORTS.web),
  probe('inside4', 'udp', VPN.resolver4, PORTS.echo),
  probe('inside6', 'udp', VPN.resolver6, PORTS.echo),
  probe('inside-tcp4', 'tcp', VPN.resolver4, PORTS.web),
];

/** A connect without an answer carries no marker: the capture names it by where it goes. */
const seenAs = ({ name, transport, address, port }: Probe) =>
  transport === 'tcp' && PROBES.some((each) => each.name === name)
    ? `ipv4 protocol 6 to ${address} ${port}`
    : name;

/**
 * Reconnects after which a segment must have met the moment in which the device is there, and its
 * routes are not.
 */
const MOST_TRIES = 40;

/**
 * Quick and many: OpenVPN pauses for so many seconds before each try (init.c,
 * socket_restart_pause).
 */
const QUICK = ['connect-retry 0 1'];
const RECONNECTS = 100;

const WAYS: readonly (readonly [string, readonly string[]])[] = [
  ['without persist-tun', []],
  ['with persist-tun', ['persist-tun']],
  ['with persist-tun and up-restart', ['persist-tun', 'up-restart']],
];

/** One connection through the tunnel that lasts: what one end says, the other says again. */
interface Held {
  /** How much came back so far. */
  answers(): number;
}

const ECHO = `require('node:net').createServer((socket) => {
  socket.on('error', () => socket.destroy()); socket.pipe(socket);
}).listen(${HELD_PORT}, '${BEHIND.host4}', () => console.log('ready'));`;
const HOLD = `const socket = require('node:net').connect(${HELD_PORT}, '${BEHIND.host4}', () => console.log('ready'));
  socket.on('error', (error) => console.log('lost: ' + error.message));
  socket.on('data', () => console.log('answer'));
  setInterval(() => socket.write('${marker('held', 1)}'), 50);`;

async function hold({ world: { sandbox } }: Lab, services: Service[]): Promise<Held> {
  const { status, stderr } = await sandbox.ask(
    ['ip', 'address', 'replace', `${BEHIND.host4}/32`, 'dev', 'lo'],
    { at: 'internet' },
  );
  if (status !== 0) throw new Error(stderr);
  const start = async (name: string, program: string, at?: string) => {
    const service = startService(
      sandbox,
      name,
      [NODE, '-e', program],
      at === undefined ? {} : { at },
    );
    services.push(service);
    await service.says('ready');
    return service;
  };
  await start('held-echo', ECHO, 'internet');
  const held = await start('held', HOLD);
  await held.says('answer');
  return { answers: () => (held.said().includes('lost') ? Number.NaN : held.times('answer')) };
}

/** The fate of the tunnel's addresses while OpenVPN reconnects: default settings. */
export function specifyReconnects(version: OpenvpnVersion, backend: 'iptables' | 'nftables'): void {
  describe(`with OpenVPN ${version} and ${backend}`, () => {
    const on = labWith({ version, backend, probes: PROBES });
    const services: Service[] = [];
    afterEach(async () => {
      for (const service of services.splice(0)) if (service.running()) await service.end('KILL');
    });
    const connected = async (context: TestContext, profile: readonly string[], server = USUAL) => {
      const lab = on(context);
      await lab.profile({ more: profile });
      await lab.serve(server);
      await lab.connect();
      return { lab, held: await hold(lab, services) };
    };
    // TCP waits for up to two minutes between two tries (TCP_RTO_MAX).
    const goesOn = async (held: Held) => {
      const before = held.answers();
      await waitUntil('the held connection to go on', () => held.answers() > before, 150_000);
    };

    test('every kind of probe is seen at the router while nothing is locked', async (context) => {
      const lab = on(context);
      await everyProbeIsSeen({
        ...lab,
        probes: lab.probes?.map((each) => ({ ...each, name: seenAs(each) })) ?? [],
      });
    });

    test('the connection that is held is seen in clear when nothing is locked and OpenVPN reconnects', async (context) => {
      const { lab } = await connected(context, QUICK);
      await lab.product.must('unlock');
      await lab.world.capture.tally();
      let seen = 0;
      for (let count = 0; count < MOST_TRIES && seen === 0; count++) {
        await lab.reconnects(() => lab.client().signal('USR1'));
        seen = (await lab.world.capture.tally()).byName['held'] ?? 0;
      }
      expect(seen).toBeGreaterThan(0);
      await lab.disconnect();
      await lab.product.must('lock');
    });

    for (const [name, profile] of WAYS)
      test(`nothing of the tunnel's leaves in ${RECONNECTS} reconnects ${name}`, {
        timeout: 2_700_000,
      }, async (context) => {
        const { lab, held } = await connected(context, [...profile, ...QUICK]);
        const { vpn } = await lab.guarded(async () => {
          for (let count = 0; count < RECONNECTS; count++)
            await lab.reconnects(() => lab.client().signal('USR1'));
        });
        expect(vpn).toBeGreaterThan(RECONNECTS);
        await goesOn(held);
        await factsAreTrue(lab);
        expect((await statusOf(lab.product)).exit).toBe(0);
      });

    test('nothing of the tunnel’s leaves on SIGHUP', async (context) => {
      const { lab, held } = await connected(context, QUICK);
      await lab.guarded(() => lab.reconnects(() => lab.client().signal('HUP')));
      await goesOn(held);
      await factsAreTrue(lab);
    });

    test('nothing of the tunnel’s leaves while the server is gone, until ping-restart and long after', async (context) => {
      const { lab, held } = await connected(context, QUICK, SOON_MISSED);
      await lab.guarded(async () => {
        const restarts = lab.client().times(RESTARTING);
        await lab.server().end('KILL');
        await lab.client().says(RESTARTING, restarts + 1);
        await lab.prober.more(5000);
        await lab.reconnects(() => lab.serve(USUAL));
      });
      await goesOn(held);
      await factsAreTrue(lab);
    });
  });
}
