import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, type TestContext } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { INTERNET, LAN, UPLINK } from '../../src/proof/addresses.ts';
import type { Tally } from '../../src/proof/capture.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';
import type { Status } from '../hooks/installed-machine.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { initSystemOf } from '../support/init-systems.ts';

/** A machine that boots, and the way it is locked at boot. */
export interface Debian {
  readonly root: string;
  readonly backend: BackendName;
  /** The strategy that loads the rules at boot; by default the one that `boot enable` chooses. */
  readonly how?: string;
  /** A shell script that runs in its root once, before its first boot. */
  readonly prepare?: string;
}

export const SETTINGS = (backend: BackendName) =>
  `KILLSWITCH_BACKEND=${backend}\nKILLSWITCH_LAN=off\nKILLSWITCH_ENDPOINTS=${INTERNET.vpn4}:1194/udp\n`;

export const STATE = '/var/lib/ovpn-killswitch';

/** The multicast group that it joins. */
export const GROUP = '239.77.7.7';

/** NetworkManager leaves a card alone that has an address before it is up. */
const mayJoin = (root: string) =>
  root.startsWith('networkmanager') ? `ip link show dev ${UPLINK} up | grep -q .` : 'true';

/**
 * A service that sends to the internet and to the LAN and joins a multicast group (IGMP) from the
 * first moment there is anything to send with, counts its rounds, and slows down.
 */
export const PROBER = (root: string) => `
cat >/usr/local/bin/prober <<'END'
#!/bin/bash
exec 2>/dev/null
for ((round = 0; ; round++)); do
  for each in ${INTERNET.web4} ${INTERNET.web6} ${INTERNET.resolver4} ${LAN.host4}; do echo probe >/dev/udp/$each/7777; done
  if ((round % 20 == 0)) && ${mayJoin(root)}; then for each in del add; do ip address $each ${GROUP}/32 dev ${UPLINK} autojoin; done; fi
  echo >>/run/probes
  if ((round < 200)); then read -t 0.02 <> <(:); else read -t 0.25 <> <(:); fi
done
END
chmod 755 /usr/local/bin/prober
${initSystemOf(root).early('prober', '/usr/local/bin/prober')}
`;

/**
 * Rounds of the prober that are waited for after everything has started: it sends at most fifty a
 * second.
 */
const ROUNDS = 60;
/** The same for one that has slowed down by now, to four a second. */
const SLOW_ROUNDS = 8;

/** Its packets heard in clear: three hosts, and IGMP. */
export const HEARD = 4;

/** A booted machine whose prober runs. */
export interface ProbedMachine {
  readonly machine: Booted;
}

export interface Scene extends ProbedMachine {
  readonly product: Product;
}

/** Boots it, shows that its prober is heard, locks it, and has it locked at boot. */
export async function openScene({
  root,
  backend,
  how = 'auto',
  prepare = '',
}: Debian): Promise<Scene> {
  const machine = await bootMachine({ root, prepare: `${PROBER(root)}\n${prepare}` });
  try {
    const product = await installProduct(machine, DIST, SETTINGS(backend));
    // Open, all of it is heard. A packet that waits for a neighbour's answer has passed the filter
    // already, and would be sent after the lock.
    const heardSoFar = () => Object.keys(machine.world.capture.soFar().byName);
    await waitUntil(
      () => `the prober to be heard, not only: ${heardSoFar().join(', ')}`,
      () => heardSoFar().length === HEARD,
      30_000,
    );
    await product.must('lock');
    await product.must('boot', 'enable', '--with', how);
    await machine.world.capture.tally();
    return { machine, product };
  } catch (thrown) {
    await machine.close();
    throw thrown;
  }
}

/** Packets that left: in clear by probe, to neighbours by message, else by count. */
export interface Seen extends Pick<Tally, 'lan' | 'vpn'> {
  readonly clear: readonly string[];
  readonly neighbours: Readonly<Record<string, number>>;
}

/** Waits until the prober is heard everywhere in clear. */
export async function heard({ machine }: ProbedMachine): Promise<void> {
  const { capture } = machine.world;
  const before = { ...capture.soFar().byName };
  await waitUntil(
    'the prober to be heard',
    () => Object.keys(since(before, capture.soFar().byName)).length === HEARD,
  );
}

/** Captures what leaves from now on while the prober goes some rounds. */
export function seenFromNow(scene: ProbedMachine): Promise<Seen> {
  return seenDuring(scene, async () => undefined);
}

/** Captures what leaves while something is done and for some rounds of the prober afterwards. */
export async function seenDuring(scene: ProbedMachine, act: () => Promise<unknown>): Promise<Seen> {
  await scene.machine.world.capture.tally();
  return seenSince(scene, act, SLOW_ROUNDS, 0);
}

/** The counts since then, by name. */
function since(
  then: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(now).flatMap(([name, count]) =>
      count > (then[name] ?? 0) ? [[name, count - (then[name] ?? 0)]] : [],
    ),
  );
}

/**
 * Packets that left from power-on until the prober has gone its rounds, and goes on after so many
 * seconds.
 */
export async function seenAtBoot(
  scene: ProbedMachine,
  switchOn: () => Promise<void>,
  seconds = 0,
): Promise<Seen> {
  return seenSince(scene, switchOn, ROUNDS, seconds);
}

async function seenSince(
  { machine }: ProbedMachine,
  act: () => Promise<unknown>,
  most: number,
  seconds: number,
): Promise<Seen> {
  const { capture } = machine.world;
  const before = structuredClone(capture.soFar());
  await act();
  const rounds = async () => Number(await machine.sh('wc -l </run/probes'));
  const first = await rounds();
  await waitUntil('the prober', async () => (await rounds()) >= first + most, 60_000);
  if (seconds > 0) {
    await pause(seconds * 1000);
    const last = await rounds();
    await waitUntil('the prober, still', async () => (await rounds()) > last);
  }
  // With the link down nothing can leave; else the capture is asked whether it has seen all.
  const isUp = (await machine.sh(`ip -br -4 address show dev ${UPLINK} up`)).includes(LAN.client4);
  if (isUp) await capture.tally();
  const { byName, lan, vpn, neighbourWords } = capture.soFar();
  return {
    clear: Object.keys(since(before.byName, byName)),
    lan: lan - before.lan,
    vpn: vpn - before.vpn,
    neighbours: since(before.neighbourWords, neighbourWords),
  };
}

export const NOTHING = { clear: [], lan: 0, vpn: 0 };

/**
 * The machine of a `describe`, booted, locked and with its way to boot; a test that asks for it
 * where it cannot be made is skipped.
 */
export function sceneOf(debian: Debian): (context: TestContext) => Scene {
  const obstacle = bootObstacle(debian);
  let scene: Scene | undefined;
  beforeAll(async () => {
    if (obstacle === undefined) scene = await openScene(debian);
  });
  afterAll(() => scene?.machine.close());
  return (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (scene === undefined) throw new Error('the machine was not booted');
    return scene;
  };
}

/** The output of `status --json`. */
export async function statusOf({ product }: Scene): Promise<Status> {
  return JSON.parse((await product.command('status', '--json')).stdout) as Status;
}

/** Every program that loads rules, for a shell. */
export const TOOLS = '/usr/sbin/nft /usr/sbin/iptables* /usr/sbin/ip6tables* /usr/sbin/xtables*';

/** Of the base rules three lines are left. */
export const CUT_OFF = `for each in ${STATE}/base.*; do sed -i 3q $each; done`;

export const RENAMED_AWAY = `for each in ${TOOLS}; do mv $each $each.away; done`;
