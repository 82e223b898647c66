import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { ownFolder } from '../host/program-files.ts';
import { sendSignal } from '../host/send-signal.ts';
import { type Daemon, startOf } from '../machine/daemon.ts';
import { devices } from '../machine/tunnel-device.ts';
import { closeOnExit } from '../proof/close-on-exit.ts';
import { openCounters } from '../proof/here-counters.ts';
import { HERE_CLASSES, HERE_PINGS, HERE_PROBES, type HereOrders } from '../proof/here-probes.ts';
import { NOBODY } from '../proof/probes.ts';
import { readLiveTunnels } from '../record/live-tunnels.ts';
import type { Context } from './command.ts';
import { drawn } from './screen.ts';

const ROUNDS = 5;
/** TCP sends an unanswered packet again after a second: a longer timeout would count one twice. */
const BOUND_SECONDS = '0.8';
/**
 * OpenVPN needs some seconds to connect; `most` bounds the wait for a reconnect that OpenVPN gives
 * up.
 */
const RECONNECT_SECONDS = { least: 5, most: 30 } as const;

/** A live tunnel whose OpenVPN can receive a signal. */
interface Told {
  readonly device: string;
  readonly daemon: Daemon;
}

function isUp(host: Host, device: string): boolean {
  const flags = Number(host.read(`/sys/class/net/${device}/flags`) ?? '0x1');
  return (flags & 1) === 1;
}

/** Lists interfaces that are up and are neither loopback nor a live tunnel. */
function uplinksOf(host: Host): readonly string[] {
  const tunnels = readLiveTunnels(host).map(({ tunnel }): string => tunnel.device);
  return [...devices(host)]
    .filter((device) => device !== 'lo' && !tunnels.includes(device) && isUp(host, device))
    .sort();
}

function runs(host: Host, { pid, start }: Daemon): boolean {
  return startOf(host, pid) === start && host.read(`/proc/${pid}/comm`)?.trim() === 'openvpn';
}

/** Lists the tunnels whose OpenVPN runs. @throws KillswitchError NO_PROOF when there is none. */
function whomToTell(host: Host): readonly Told[] {
  const told = readLiveTunnels(host).flatMap(({ tunnel: { device }, daemon }) =>
    daemon !== undefined && runs(host, daemon) ? [{ device, daemon }] : [],
  );
  if (told.length > 0) return told;
  throw new KillswitchError(
    'NO_PROOF',
    'no running OpenVPN with a live tunnel is known, so none can be made to reconnect',
    'Connect with OpenVPN and the hooks in its profile, or leave --reconnect out.',
  );
}

function isBack(host: Host, { device, daemon }: Told): boolean {
  return (
    runs(host, daemon) &&
    readLiveTunnels(host).some(({ tunnel }) => tunnel.device === device) &&
    devices(host).has(device) &&
    isUp(host, device)
  );
}

/**
 * Tells whether curl and setpriv here can bind UDP and TCP probes to an interface: Node itself
 * cannot (SO_BINDTODEVICE, socket(7)).
 */
function canBind(host: Host): boolean {
  return (
    host.has('setpriv') &&
    /^Protocols:.* tftp\b/m.test(host.run({ program: 'curl', args: ['--version'] }).stdout)
  );
}

/**
 * Sends each probe once by an interface, whatever the routes say. @returns whether that was
 * possible.
 */
function sendBound(host: Host, device: string): boolean {
  const urls = HERE_PROBES.flatMap(({ transport, address, port }) => {
    const where = address.includes(':') ? `[${address}]` : address;
    return [
      '--output',
      '/dev/null',
      `${transport === 'udp' ? 'tftp' : 'http'}://${where}:${port}/prove`,
    ];
  });
  const { status } = host.run({
    program: 'setpriv',
    args: [
      ...[
        `--reuid=${NOBODY}`,
        `--regid=${NOBODY}`,
        '--clear-groups',
        'curl',
        '--disable',
        '--silent',
        '--globoff',
        '--noproxy',
        '*',
      ],
      ...[
        '--parallel',
        '--parallel-immediate',
        '--interface',
        `if!${device}`,
        '--max-time',
        BOUND_SECONDS,
        ...urls,
      ],
    ],
  });
  // Statuses of setpriv: 1, 126, 127. Of curl: an unknown option (2), an interface it could not
  // bind to (45).
  return status !== null && ![1, 2, 45, 126, 127].includes(status);
}

function ping(host: Host, device: string | undefined): void {
  for (const { address } of HERE_PINGS)
    host.run({
      program: 'ping',
      args: ['-n', '-c', '1', '-W', '1', ...(device === undefined ? [] : ['-I', device]), address],
    });
}

function sendUnbound(host: Host, sources: readonly string[]): void {
  const orders: HereOrders = { rounds: ROUNDS, sources };
  const { status, why } = host.callInTurn(
    [join(ownFolder(), 'prove.js'), JSON.stringify(orders)],
    {},
    NOBODY,
  );
  if (status !== 0)
    throw new KillswitchError(
      'FILES',
      `the probes could not be sent${why === undefined ? '' : `: ${why}`}`,
      'Install again: see README.md',
    );
}

/**
 * Counts of the attempts: by the routes and from each address of an uplink; bound to an interface;
 * pings.
 */
interface Tries {
  readonly rounds: number;
  readonly bound: number;
  readonly pings: number;
}

/** Makes OpenVPN reconnect, and sends for as long as that takes. */
async function sendThroughReconnect(
  { host, progress, print }: Context,
  told: readonly Told[],
  send: () => Promise<void>,
): Promise<void> {
  progress('sending while OpenVPN reconnects');
  const start = host.now();
  for (const { daemon } of told) if (runs(host, daemon)) sendSignal(daemon.pid, 'SIGUSR1');
  for (;;) {
    await send();
    const seconds = host.now() - start;
    const away = told.filter((each) => !isBack(host, each));
    if (seconds < RECONNECT_SECONDS.least || (away.length > 0 && seconds < RECONNECT_SECONDS.most))
      continue;
    for (const each of told)
      print(
        away.includes(each)
          ? `${each.device} is not back after ${seconds} s: look at OpenVPN's log. Nothing opens meanwhile.`
          : `${each.device} is back.`,
      );
    return;
  }
}

/** Sends everything once, or through a reconnect. */
async function sendAll(
  context: Context,
  uplinks: readonly string[],
  sources: readonly string[],
  told: readonly Told[],
): Promise<Tries> {
  const { host, progress, print } = context;
  const bind = canBind(host);
  let [rounds, bound] = [0, 0];
  const send = async () => {
    sendUnbound(host, sources);
    rounds += ROUNDS;
    if (bind) bound += uplinks.filter((device) => sendBound(host, device)).length;
    // Lets Node handle signals: nothing else here yields to them.
    await setImmediate();
  };
  progress('sending');
  await send();
  if (told.length > 0) await sendThroughReconnect(context, told, send);
  progress('sending pings');
  for (const device of [undefined, ...uplinks]) {
    ping(host, device);
    await setImmediate();
  }
  if (bound === 0)
    print(
      'Bound to an interface, only ping was sent: for TCP and UDP, curl with TFTP and setpriv are needed, and Linux 5.7.',
    );
  return { rounds, bound, pings: 1 + uplinks.length };
}

/** Counts the attempted packets of each class. */
function triesOf({ rounds, bound, pings }: Tries, sources: readonly string[]): readonly number[] {
  return HERE_CLASSES.map(({ transport, address }) => {
    if (transport === 'icmp') return pings;
    const own = sources.filter((source) => source.includes(':') === address.includes(':')).length;
    return rounds * (1 + own) + bound;
  });
}

/**
 * Sends packets that must not leave this machine, as it is now, and says which left; with
 * `reconnect` also while OpenVPN reconnects.
 * @returns whether nothing left.
 * @throws KillswitchError NO_PROOF when no counter works here, or no OpenVPN can be told to
 * reconnect.
 */
export async function proveHere(context: Context, reconnect: boolean): Promise<boolean> {
  const { host, print, draw, screen } = context;
  const uplinks = uplinksOf(host);
  if (uplinks.length === 0) {
    print('No interface but loopback and tunnels is up: nothing can leave.');
    return true;
  }
  const told = reconnect ? whomToTell(host) : [];
  const sources = host.ownAddresses(uplinks);
  const counters = await openCounters(host, uplinks);
  const [tries, left] = await closeOnExit(
    () => counters.close(),
    async () => {
      print(`Sending over ${uplinks.join(', ')} …`);
      for (const { device, daemon } of told)
        print(
          `Then the OpenVPN of ${device} (process ${daemon.pid}) is told to reconnect (SIGUSR1): what is open through it may break.`,
        );
      return [
        triesOf(await sendAll(context, uplinks, sources, told), sources),
        await counters.read(),
      ] as const;
    },
  );
  const width = Math.max(...HERE_CLASSES.map(({ name }) => name.length));
  for (const [index, { name }] of HERE_CLASSES.entries()) {
    const count = left[index] ?? 0;
    const text = `${name.padEnd(width)}  ${tries[index]} tried, ${count === 0 ? 'nothing left' : `${count} LEFT`}`;
    for (const line of drawn({ text, tone: count === 0 ? 'good' : 'bad' }, screen)) draw(line);
  }
  const leaks = left.filter((count) => count > 0).length;
  print(
    leaks === 0 ? 'Nothing left.' : `${leaks} of ${HERE_CLASSES.length} classes left in clear.`,
  );
  return leaks === 0;
}
