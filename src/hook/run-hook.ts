import { strategiesInUse } from '../dns/resolver-facts.ts';
import { EXIT, KillswitchError, orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { linuxHost } from '../host/linux.ts';
import { PATHS } from '../host/paths.ts';
import { daemonOf, hasEnded } from '../machine/daemon.ts';
import { devices } from '../machine/tunnel-device.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { disjoint } from '../net/network.ts';
import { printable } from '../net/printable.ts';
import { retireTunnel } from '../record/former-tunnels.ts';
import { keepTold } from '../record/last-transaction.ts';
import {
  type LiveTunnel,
  readLiveTunnel,
  readLiveTunnels,
  removeTunnelFile,
  sameLiveTunnel,
} from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { offloadedOf } from '../record/offloaded.ts';
import { removeDevice } from '../transaction/remove-left-devices.ts';
import { readChainedCall } from '../tunnel/chained-call.ts';
import { type HookInput, readOpenvpnHook } from '../tunnel/from-openvpn.ts';
import { type HookEvent, type HookName, peerEndpoints } from '../tunnel/hook-event.ts';
import { toldText } from '../tunnel/told-text.ts';
import { admit, knownEndpoints } from './admit.ts';
import { HOOK_MILLISECONDS } from './hook-milliseconds.ts';
import { loadRemaining } from './load-rules.ts';
import { logged, logRefused } from './logged.ts';

type TunnelUp = Extract<HookEvent, { kind: 'tunnel-up' }>;
type TunnelDown = Extract<HookEvent, { kind: 'tunnel-down' }>;

/**
 * Returns a tunnel's profile with symbolic links resolved; undefined when unknown. A relative
 * `--config` counts from the hook's folder, which is OpenVPN's (openvpn init.c, `--cd` and
 * `--daemon`).
 */
function profileOf(host: Host, { config }: TunnelUp): string | undefined {
  if (config === undefined) return undefined;
  // No name is resolved for a tunnel without a profile: that is no reason to end the connection.
  const place = orElse(
    () => host.place(config.startsWith('/') ? config : `${PATHS.workingFolder}/${config}`),
    () => undefined,
  );
  return place !== undefined && host.exists(place) ? place : undefined;
}

/** Returns the client of an event. An unprivileged hook cannot see its own pid namespace. */
function clientOf(host: Host, { daemon }: TunnelUp, before: LiveTunnel | undefined) {
  const client = daemon === undefined ? undefined : daemonOf(host, daemon);
  const known = before?.daemon;
  const isKnown = known?.pid === client?.pid && known?.start === client?.start;
  return isKnown && !host.mayChangeRules() ? known : client;
}

/** Returns the tunnel of an event. `before` is the previous record of its device. */
function liveTunnel(
  host: Host,
  event: TunnelUp,
  before: LiveTunnel | undefined,
  known: readonly Endpoint[],
): LiveTunnel {
  const kept = event.kept ? (before?.tunnel.networks ?? []) : [];
  // An unprivileged hook may not see the file that the hook run as root saw.
  const profile = host.mayChangeRules() ? profileOf(host, event) : before?.profile;
  return {
    tunnel: {
      ...event.tunnel,
      networks: disjoint([...event.tunnel.networks, ...kept]),
      endpoints: peerEndpoints(event.peer, known),
      ...offloadedOf(host, event.tunnel.device),
    },
    since: host.now(),
    daemon: clientOf(host, event, before),
    deviceSeen: devices(host).has(event.tunnel.device),
    ...(profile !== undefined && { profile }),
  };
}

/**
 * Refuses to run as another account than root, even with capabilities (systemd.exec(5),
 * AmbientCapabilities). No command trusts state that another account writes.
 */
function refuseOtherAccount(host: Host, device: InterfaceName): void {
  const uid = host.uid();
  if (uid === 0) return;
  throw new KillswitchError(
    'NOT_ROOT',
    `${device}: this hook runs as uid ${uid} with CAP_NET_ADMIN, and only root decides what passes`,
    'Run "systemctl edit" on the unit of OpenVPN and set User=root under [Service]. The line "user openvpn" of the profile still drops root.',
  );
}

function tunnelUp(host: Host, event: TunnelUp): void {
  logRefused(host, event);
  const { device } = event.tunnel;
  const before = readLiveTunnels(host).find(({ tunnel }) => tunnel.device === device);
  if (!host.mayChangeRules()) {
    const known = before?.tunnel.endpoints ?? [];
    const right =
      before !== undefined && sameLiveTunnel(before, liveTunnel(host, event, before, known));
    const what = right
      ? 'the loaded rules still fit'
      : 'nothing was changed; the loaded rules are stricter than this connection needs';
    host.log({
      level: right ? 'info' : 'warn',
      event: 'unprivileged',
      message: `${device}: this hook runs without root, so ${what}`,
    });
    return;
  }
  refuseOtherAccount(host, device);
  // There may be thousands, and OpenVPN usually reports the transport itself.
  const known =
    event.peer?.transports.length === 0 ? knownEndpoints(host, readLockRecord(host)) : [];
  admit(host, liveTunnel(host, event, before, known), before);
}

/**
 * Logs a tunnel that lost its server: nothing passes it. Its rules stay. Without them, packets
 * routed into it would belong to the LAN for a while.
 */
function tunnelWaiting(host: Host, device: InterfaceName): void {
  host.log({
    level: 'info',
    event: 'waiting',
    message: `${device}: its rules stay while OpenVPN reconnects`,
  });
}

/**
 * Whether the device's tunnel is that of another client, which runs: a client that ends closes its
 * device before it calls `down`, and another may have made a device of that name meanwhile.
 */
function belongsToAnother(host: Host, { daemon }: LiveTunnel, own: TunnelDown['daemon']): boolean {
  return daemon !== undefined && own !== undefined && daemon.pid !== own && !hasEnded(host, daemon);
}

function tunnelDown(host: Host, { device, reconnects, daemon }: TunnelDown): void {
  if (!host.mayChangeRules() || host.uid() !== 0) {
    const left =
      strategiesInUse(host).length > 0
        ? ', and the next hook or command of root restores the resolvers'
        : '';
    host.log({
      level: 'info',
      event: 'unprivileged',
      message: `${device}: this hook runs without root; the rules for ${device} end with it${left}`,
    });
    return;
  }
  const went = readLiveTunnel(host, device);
  if (went !== undefined && belongsToAnother(host, went, daemon)) {
    const message = `${device}: another OpenVPN has made this device since, and its rules stay`;
    host.log({ level: 'info', event: 'left-alone', message });
    return;
  }
  // First of all: whatever fails below, the next hook or `lock` no longer counts this tunnel.
  if (went === undefined) removeTunnelFile(host, device);
  else retireTunnel(host, went, reconnects ? 'reconnecting' : 'ended');
  loadRemaining(host, went);
}

function runEvent(host: Host, event: HookEvent): void {
  switch (event.kind) {
    case 'tunnel-up':
      tunnelUp(host, event);
      return;
    case 'tunnel-waiting':
      tunnelWaiting(host, event.device);
      return;
    case 'tunnel-down':
      tunnelDown(host, event);
      return;
    case 'unreadable':
      throw new KillswitchError(
        'ENVIRONMENT',
        `OpenVPN's environment cannot be read: ${event.why}`,
        'Let OpenVPN start the hook, and check the dev line of the profile.',
      );
    default:
      event satisfies never;
  }
}

/** Runs our part of a hook. Returns its error, already logged. */
function runOwn(hook: HookName, input: HookInput, host: Host): KillswitchError | undefined {
  return logged(host, () => {
    runEvent(host, readOpenvpnHook(hook, input));
    if (hook === 'up' && host.uid() === 0) keepTold(host, toldText(input.env));
  });
}

/**
 * Removes the device of a data channel offload tunnel after a failed `up`, when OpenVPN ends. Its
 * address would block the next connection. Leaves a device that another OpenVPN owns.
 */
function leaveNoDevice(host: Host, input: HookInput): void {
  const event = readOpenvpnHook('up', input);
  if (event.kind !== 'tunnel-up' || !host.mayChangeRules()) return;
  const { device } = event.tunnel;
  const owner = readLiveTunnel(host, device)?.daemon;
  const isAnothers = owner !== undefined && owner.pid !== event.daemon && !hasEnded(host, owner);
  if (offloadedOf(host, device).offloaded === true && !isAnothers) removeDevice(host, device);
}

/** Runs the profile's own command, which our hook replaced, as OpenVPN would have run it. */
function callInTurn(
  hook: HookName,
  command: readonly string[],
  env: HookInput['env'],
  host: Host,
): number {
  const { status, why } = host.callInTurn(command, env);
  if (status !== 0) {
    const ended = why === undefined ? `ended with status ${status}` : `failed: ${printable(why)}`;
    const message = `${printable(command[0] ?? '')}, which the profile calls after ${hook}, ${ended}`;
    host.log({ level: 'error', event: 'chained-failed', message, fields: { status } });
  }
  return status;
}

/**
 * Runs one hook, from OpenVPN's input to the exit status. `up` fails when the rules are not in
 * force, so that OpenVPN gives up. `down` and `route-up` always return 0: a failing `down` ends a
 * reconnect, and a failing `route-up` is ignored (openvpn init.c). Runs the profile's own command
 * (`--then`) once the rules are in force, after `down` in any case. `up` fails with that command's
 * status.
 */
export function runHook(hook: HookName, given: HookInput, host: Host): number {
  const { input, command } = readChainedCall(hook, given);
  const error = runOwn(hook, input, host);
  if (error !== undefined && hook === 'up') {
    logged(host, () => leaveNoDevice(host, input));
    return error.exit;
  }
  if (error !== undefined && hook === 'route-up') return EXIT.ok;
  const status = command === undefined ? EXIT.ok : callInTurn(hook, command, given.env, host);
  if (hook !== 'up' || status === EXIT.ok) return EXIT.ok;
  // OpenVPN ends without calling `down` when the first `up` fails.
  runOwn('down', { ...input, env: { ...input.env, signal: 'sigterm' } }, host);
  logged(host, () => leaveNoDevice(host, input));
  return status;
}

/**
 * Runs a hook's file. It ignores SIGTERM and SIGINT, and finishes within its deadline. A stop of
 * its service reaches every process of it (systemd.kill(5)), and Ctrl-C every process of a
 * terminal.
 */
export function main(hook: HookName): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  const host = linuxHost({ name: hook, milliseconds: HOOK_MILLISECONDS, shown: 'info' });
  process.exitCode = runHook(hook, { argv: process.argv.slice(2), env: process.env }, host);
}
