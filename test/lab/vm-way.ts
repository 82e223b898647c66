import { expect } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { FOLDER, INTERNET, NODE, PORTS } from '../../src/proof/addresses.ts';
import { type ClientPlan, PUSHES, type ServerPlan } from '../../src/proof/openvpn.ts';
import { writeSettings } from '../../src/proof/product.ts';
import { WEB_VISITS } from '../../src/proof/services.ts';
import { askAsGuest, GUEST, GUESTS_PING } from './guest.ts';
import type { Lab } from './open-lab.ts';
import { works } from './works.ts';

export const BACKENDS = ['nftables', 'iptables'] as const satisfies readonly BackendName[];
/** The name of a guest's ping in a capture. */
const PING_OF_GUEST = `ipv4 protocol 1 to ${INTERNET.web4}`;

/** Silence that a slow machine keeps while hooks run is not the end of a connection. */
const LONG_RESTART = 60;
/** Timers for a server, and the same for its clients. */
export const patient = (seconds = LONG_RESTART) => ({
  pushes: [
    ...PUSHES.filter((option) => !option.startsWith('ping-restart')),
    `ping-restart ${seconds}`,
  ],
  more: [`ping-restart ${seconds}`],
});

/** The settings that a lab is locked with. */
export interface Way {
  readonly backend: BackendName;
  readonly client?: ClientPlan;
  readonly server?: ServerPlan;
  readonly remote?: string;
  readonly settings?: readonly string[];
}

/** Starts the server, writes settings and profile, and locks; the machine was open. */
export async function locked(
  lab: Lab,
  { backend, client = {}, server = {}, remote, settings = [] }: Way,
): Promise<void> {
  const { world, product } = lab;
  await lab.disconnect();
  await product.must('unlock');
  const lines = [
    `KILLSWITCH_BACKEND=${backend}`,
    `KILLSWITCH_FORWARD=${GUEST}`,
    'KILLSWITCH_RESOLVER=off',
    ...settings,
    '',
  ];
  await writeSettings(world.sandbox, lines.join('\n'));
  await lab.serve({ ...patient(), ...server });
  await lab.profile(
    { ...client, more: [`ping-restart ${LONG_RESTART}`, ...(client.more ?? [])] },
    remote,
  );
}

/**
 * The guest's packets leave in clear while the machine is open: what is not seen then proves
 * nothing later.
 */
export async function guestIsSeen({ world, probing }: Lab): Promise<void> {
  await world.capture.tally();
  await probing();
  expect((await world.capture.tally()).byName[PING_OF_GUEST] ?? 0).toBeGreaterThan(0);
}

/**
 * Root, another account and the guest reach the web through the tunnel, with packets of any size.
 */
export async function everyAccountWorks(lab: Lab): Promise<void> {
  const { world } = lab;
  await works(lab);
  expect(await askAsGuest(world.sandbox, NODE, 3000)).toMatchObject({
    echo4: 'echo',
    big: 'answered',
  });
  for (const bytes of [1300, 4000]) {
    const { status } = await world.sandbox.ask([
      'ping',
      '-n',
      '-q',
      '-c2',
      '-i0.3',
      '-W3',
      `-s${bytes}`,
      INTERNET.web4,
    ]);
    expect([bytes, status]).toEqual([bytes, 0]);
  }
}

/** The rules are those of this state, and nothing else is wrong. */
export async function isExactly(
  product: Lab['product'],
  state: 'blocked' | 'connected',
): Promise<void> {
  const { status, stdout } = await product.command('status', '--json');
  const { state: is, differences, flowtables } = JSON.parse(stdout) as { [key: string]: unknown };
  expect({ status, is, differences, flowtables }).toEqual({
    status: 0,
    is: state,
    differences: [],
    flowtables,
  });
}

/**
 * The same in few words, for after a reconnect: another account over both families, the guest, and
 * root.
 */
export async function everyAccountReaches({ world }: Lab): Promise<void> {
  const echoes = WEB_VISITS.filter(({ service }) => service === 'echo');
  expect(await world.visit(echoes)).toEqual({ echo4: 'echo', echo6: 'echo' });
  for (const at of [undefined, 'guest']) {
    const { status } = await world.sandbox.ask(
      ['ping', '-n', '-q', '-c1', '-W6', INTERNET.web4],
      at === undefined ? {} : { at },
    );
    expect([at, status]).toEqual([at, 0]);
  }
}

/** The account whose packets are not the server's or OpenVPN's: the account that probes. */
export const STRANGER = 4711;

const STRANGERS_WORD = 'own-port';
const TIMES = 10;

/** Sends as the stranger from this port to the server, ten times. */
export async function sendAsStranger(
  { world: { sandbox } }: Lab,
  port: number,
  address: string,
): Promise<void> {
  const kind = address.includes(':') ? 'udp6' : 'udp4';
  const text = `
    const socket = require('dgram').createSocket('${kind}');
    const say = () => socket.send('leakprobe-${STRANGERS_WORD}-00000001', ${PORTS.vpn}, '${address}', () => {});
    socket.bind(${port}, () => { for (let i = 0; i < ${TIMES}; i++) say(); setTimeout(() => socket.close(), 300); });
  `;
  const as = ['setpriv', `--reuid=${STRANGER}`, `--regid=${STRANGER}`, '--clear-groups'];
  const { status, stderr } = await sandbox.ask([...as, NODE, '-e', text]);
  expect([status, stderr]).toEqual([0, '']);
}

/** All that a stranger sends to the server leaves in clear while the machine is open. */
export async function strangerIsSeen(lab: Lab): Promise<void> {
  for (const address of [INTERNET.vpn4, INTERNET.vpn6]) {
    await lab.world.capture.tally();
    await sendAsStranger(lab, 45_678, address);
    expect((await lab.world.capture.tally()).byName[STRANGERS_WORD]).toBe(TIMES);
  }
}

/** Does `work` while neither the prober nor the guest says anything. */
export async function silently(
  { world: { sandbox } }: Lab,
  work: () => Promise<void>,
): Promise<void> {
  const tell = async (signal: string) => {
    const { status, stderr } = await sandbox.ask([
      'sh',
      '-c',
      `for each in prober-0 ${GUESTS_PING}; do kill -${signal} "$(cat ${FOLDER}/$each.pid)" || exit; done`,
    ]);
    expect([status, stderr]).toEqual([0, '']);
  };
  await tell('STOP');
  try {
    await work();
  } finally {
    await tell('CONT');
  }
}
