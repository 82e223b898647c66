import { followNftables, HASTE_MILLISECONDS } from './boot/follow-nftables.ts';
import { demandsOf } from './dns/demand.ts';
import { describeResolvers } from './dns/describe-resolvers.ts';
import { followResolversOrSay } from './dns/follow-resolvers.ts';
import { strategiesInUse } from './dns/world.ts';
import { asKillswitchError, EXIT, explainError, KillswitchError } from './errors.ts';
import type { Host } from './host/host.ts';
import { linuxHost } from './host/linux.ts';
import { PATHS } from './host/paths.ts';
import { forgetReplaced, retireTunnel } from './machine/former-tunnels.ts';
import { gatherKnown, hasNames, savedKnown } from './machine/known-endpoints.ts';
import {
  daemonOf,
  hasEnded,
  type LiveTunnel,
  readLiveTunnel,
  readLiveTunnels,
  removeLiveTunnel,
  sameLiveTunnel,
  writeLiveTunnel,
} from './machine/live-tunnels.ts';
import { loadSettings } from './machine/load-settings.ts';
import { readLockRecord } from './machine/lock-record.ts';
import { offloadedOf } from './machine/offloaded.ts';
import { rememberNetworks } from './machine/remembered-networks.ts';
import { settingsInForce } from './machine/settings-in-force.ts';
import { deviceKind, devices } from './machine/tunnel-device.ts';
import { installedBackends } from './machine/world.ts';
import type { Endpoint } from './net/endpoint.ts';
import type { InterfaceName } from './net/interface-name.ts';
import { disjoint } from './net/network.ts';
import { printable } from './net/printable.ts';
import { LOOPBACK } from './net/well-known.ts';
import { baseOf, describe, describeTunnels } from './policy/policy.ts';
import type { Change } from './transaction/amend.ts';
import { look } from './transaction/apply.ts';
import { follow } from './transaction/follow.ts';
import { removeDevice, removeLeftDevices } from './transaction/remove-left-devices.ts';
import { readChainedCall } from './tunnel/chained-call.ts';
import { type HookInput, readOpenvpnHook } from './tunnel/from-openvpn.ts';
import { type HookEvent, type HookName, peerEndpoints } from './tunnel/hook-event.ts';

/** OpenVPN stands still while a hook runs and a server drops a silent client after a minute or so: a hook that is not done by then gives up. */
export const HOOK_MILLISECONDS = 20_000;

/** How many refused values one entry of the log holds: a server can send thousands at each reconnect and must not fill the disk. */
const MOST_REFUSED = 20;

type TunnelUp = Extract<HookEvent, { kind: 'tunnel-up' }>;
type TunnelDown = Extract<HookEvent, { kind: 'tunnel-down' }>;

export function logRefused(host: Host, { refused, tunnel }: Pick<TunnelUp, 'refused' | 'tunnel'>): void {
  if (refused.length === 0) return;
  const shown = refused.slice(0, 4).map(({ variable, value, why }) => `${variable} "${value}" is ${why}`);
  const more = refused.length > shown.length ? `, and ${refused.length - shown.length} more` : '';
  host.log({
    level: 'warn',
    event: 'value-refused',
    message: `${tunnel.device}: left out what the server or OpenVPN gave: ${shown.join('; ')}${more}`,
    fields: { device: tunnel.device, refused: refused.slice(0, MOST_REFUSED), count: refused.length },
  });
}

/**
 * The profile of a tunnel, through symbolic links; undefined when it is not known. A `--config` that is
 * relative counts from the hook's folder, which is OpenVPN's (openvpn init.c, `--cd` and `--daemon`).
 */
function profileOf(host: Host, { config }: TunnelUp): string | undefined {
  if (config === undefined) return undefined;
  try {
    const place = host.place(config.startsWith('/') ? config : `${PATHS.workingFolder}/${config}`);
    return place !== undefined && host.exists(place) ? place : undefined;
  } catch (thrown) {
    // Nothing is asked for a tunnel without a profile: that is no reason to end the connection.
    if (thrown instanceof KillswitchError) return undefined;
    throw thrown;
  }
}

/** The tunnel of an event; `before` is what was known of its device. */
function liveTunnel(host: Host, event: TunnelUp, before: LiveTunnel | undefined, known: readonly Endpoint[]): LiveTunnel {
  const kept = event.kept ? (before?.tunnel.networks ?? []) : [];
  // An unprivileged hook may not see the file that the hook as root has seen.
  const profile = host.mayChangeRules() ? profileOf(host, event) : before?.profile;
  return {
    tunnel: {
      ...event.tunnel,
      networks: disjoint([...event.tunnel.networks, ...kept]),
      endpoints: peerEndpoints(event.peer, known),
      ...offloadedOf(host, event.tunnel.device),
    },
    since: host.now(),
    daemon: event.daemon === undefined ? undefined : daemonOf(host, event.daemon),
    deviceSeen: devices(host).has(event.tunnel.device),
    ...(profile !== undefined && { profile }),
  };
}

/** The endpoints the client may use, as the last `lock` left them; without one they are read now. */
export function knownEndpoints(host: Host): readonly Endpoint[] {
  const settings = settingsInForce(host);
  return baseOf(settings, savedKnown(host) ?? gatherKnown(host, settings)).endpoints;
}

/** Whether any rule of ours is in the kernel, of whichever backend. */
function isLoaded(host: Host): boolean {
  return installedBackends(host).some((backend) => look(host, backend).present);
}

/** The kernel as it should be now; locks a machine on which nobody has decided yet. */
function load(host: Host, change?: Change): void {
  const followed = follow(host, change);
  switch (followed.kind) {
    case 'locked-now': {
      const { policy, applied, choice, known } = followed.locked;
      const message = `locked by this hook: ${describe(policy)} (${choice.trace.join('; ')}); "ovpn-killswitch unlock" opens`;
      host.log({ level: 'warn', event: 'locked', message, fields: { applied } });
      for (const line of known.unread.slice(0, MOST_REFUSED)) host.log({ level: 'warn', event: 'left-alone', message: line });
      followNftables(host, HASTE_MILLISECONDS);
      return;
    }
    case 'unlocked': {
      const what = change !== undefined && 'came' in change ? `${change.came.tunnel.device}: ` : '';
      const message = `${what}this machine is UNLOCKED, nothing is guarded; "ovpn-killswitch lock" guards it`;
      host.log({ level: 'warn', event: 'not-locked', message });
      return;
    }
    case 'followed': {
      const { policy, applied } = followed.converged;
      host.log({ level: 'info', event: 'applied', message: describeTunnels(policy), fields: { applied, backend: followed.backend } });
      // After a reboot the rules were gone, and the drop-in too.
      if (applied === 'replaced') followNftables(host, HASTE_MILLISECONDS);
      return;
    }
    default:
      followed satisfies never;
  }
}

/** The system asks the resolvers of the live tunnels. When that fails the rules hold all the same: nobody else can be asked. */
function setResolvers(host: Host): void {
  const followed = followResolversOrSay(host);
  if (followed instanceof KillswitchError || followed.kind === 'unchanged') return;
  host.log({ level: 'info', event: 'resolvers', message: describeResolvers(followed) });
}

/** A VPN makes its own device: what is loopback, a card or a bridge is somebody's mistake, or worse. */
function refuseOtherDevices(host: Host, device: InterfaceName): void {
  if (device !== LOOPBACK && deviceKind(host, device) !== 'other') return;
  throw new KillswitchError(
    'ENVIRONMENT',
    `${device} is not a tunnel but an interface of this machine`,
    'Look at the dev line of the profile, and do not start hooks by hand.',
  );
}

/** State that another account writes is nobody's to believe, whatever its capabilities (systemd.exec(5), AmbientCapabilities). */
function refuseOtherAccount(host: Host, device: InterfaceName): void {
  const uid = host.uid();
  if (uid === 0) return;
  throw new KillswitchError(
    'NOT_ROOT',
    `${device}: this hook runs as uid ${uid} with CAP_NET_ADMIN, and only root decides what passes`,
    'Start OpenVPN as root: "systemctl edit" its unit and set User=root under [Service]; "user openvpn" in the profile still gives rights up.',
  );
}

function tunnelUp(host: Host, event: TunnelUp): void {
  logRefused(host, event);
  const { device } = event.tunnel;
  const before = readLiveTunnels(host).find(({ tunnel }) => tunnel.device === device);
  if (!host.mayChangeRules()) {
    const known = before?.tunnel.endpoints ?? [];
    const right = before !== undefined && sameLiveTunnel(before, liveTunnel(host, event, before, known));
    const what = right
      ? 'the rules loaded before still fit'
      : 'nothing was changed; the rules loaded before are stricter than this connection needs';
    host.log({ level: right ? 'info' : 'warn', event: 'unprivileged', message: `${device}: this hook runs without root, so ${what}` });
    return;
  }
  refuseOtherAccount(host, device);
  // There may be thousands, and OpenVPN mostly tells the transport itself.
  const known = event.peer?.transports.length === 0 ? knownEndpoints(host) : [];
  admit(host, liveTunnel(host, event, before, known), before);
}

/**
 * Takes a tunnel into the rules. `before` is what was known of its device.
 * @throws KillswitchError when the rules are not in force.
 */
export function admit(host: Host, live: LiveTunnel, before: LiveTunnel | undefined): void {
  const { device } = live.tunnel;
  refuseOtherDevices(host, device);
  // What is in force is what `lock` read; a file with mistakes is still said now, while somebody is looking.
  const settings = loadSettings(host);
  // A tunnel that is known with these very facts keeps its time: `route-up` says again what `up` said.
  const isNew = before === undefined || !sameLiveTunnel(before, live);
  // On an open machine too: its routes are in the way of this connection's.
  removeLeftDevices(host, device);
  if (isNew) writeLiveTunnel(host, live);
  try {
    load(host, { came: live });
  } catch (thrown) {
    // OpenVPN gives up then: a tunnel that never was must not be loaded by the next hook.
    if (before === undefined) removeLiveTunnel(host, device);
    throw thrown;
  }
  // Not before: without its rules, what belonged to it must stay shut.
  forgetReplaced(host);
  let isNews = false;
  // The tunnel is in the rules already: what cannot be remembered is no reason to end it.
  logged(host, () => {
    isNews = rememberNetworks(host, live);
  });
  setResolvers(host);
  if (isNew && readLockRecord(host)?.locked === true && demandsOf(settings, [live]).length === 0)
    host.log({
      level: 'warn',
      event: 'no-resolver',
      message: `${device}: the server pushed no resolver that can be asked, and DNS stays shut; KILLSWITCH_DNS can name one`,
    });
  // DNS through the tunnel cannot work before OpenVPN goes on, and it waits for us.
  if (isNews || hasNames(host)) host.startAfterwards(PATHS.command, ['refresh']);
}

/** Nothing passes a tunnel without a server. Its rules stay: without them, what is routed into it would belong to the LAN for a while. */
function tunnelWaiting(host: Host, device: InterfaceName): void {
  host.log({ level: 'info', event: 'waiting', message: `${device}: its rules stay while OpenVPN connects again` });
}

function tunnelDown(host: Host, { device, reconnects }: TunnelDown): void {
  if (!host.mayChangeRules() || host.uid() !== 0) {
    const left = strategiesInUse(host).length > 0 ? ', and the next hook or command with root gives the resolvers back' : '';
    host.log({
      level: 'info',
      event: 'unprivileged',
      message: `${device}: this hook runs without root; what the rules let into ${device} ends with it${left}`,
    });
    return;
  }
  const went = readLiveTunnel(host, device);
  // First of all: whatever goes wrong below, the next hook or `lock` no longer counts this tunnel.
  if (went === undefined) removeLiveTunnel(host, device);
  else retireTunnel(host, went, reconnects ? 'reconnecting' : 'ended');
  loadRemaining(host, went);
}

/** The kernel with the tunnels that are left, when `went` alone has gone or nobody knows; an open machine stays open. */
export function loadRemaining(host: Host, went?: LiveTunnel): void {
  const record = readLockRecord(host);
  if (record?.locked === false) return;
  // Without a record that can be read the kernel alone tells whether this machine was ever locked.
  if (record === undefined && !isLoaded(host)) return;
  try {
    load(host, went && { went });
  } finally {
    setResolvers(host);
  }
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
        'Start the hook from OpenVPN (up, down, route-up), and look at the dev line of the profile.',
      );
    default:
      event satisfies never;
  }
}

/** Our part of a hook: the error that it met, which is logged already. */
function runOwn(hook: HookName, input: HookInput, host: Host): KillswitchError | undefined {
  return logged(host, () => runEvent(host, readOpenvpnHook(hook, input)));
}

/** The error that `work` met, after it was logged. */
export function logged(host: Host, work: () => void): KillswitchError | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    const error = asKillswitchError(thrown);
    for (const line of explainError(error)) host.log({ level: 'error', event: 'failed', message: line, fields: { code: error.code } });
    return error;
  }
}

/**
 * OpenVPN ends when `up` fails. A device of data channel offload would stay then, with its address, in the way of the next connection. One that
 * another OpenVPN owns is left alone.
 */
function leaveNoDevice(host: Host, input: HookInput): void {
  const event = readOpenvpnHook('up', input);
  if (event.kind !== 'tunnel-up' || !host.mayChangeRules()) return;
  const { device } = event.tunnel;
  const owner = readLiveTunnel(host, device)?.daemon;
  const isAnothers = owner !== undefined && owner.pid !== event.daemon && !hasEnded(host, owner);
  if (offloadedOf(host, device).offloaded === true && !isAnothers) removeDevice(host, device);
}

/** The command of the profile that ours took the place of, called as OpenVPN would have called it. */
function callInTurn(hook: HookName, command: readonly string[], env: HookInput['env'], host: Host): number {
  const { status, why } = host.callInTurn(command, env);
  if (status !== 0) {
    const ended = why === undefined ? `ended with status ${status}` : `failed: ${printable(why)}`;
    const message = `${printable(command[0] ?? '')}, which the profile calls after ${hook}, ${ended}`;
    host.log({ level: 'error', event: 'chained-failed', message, fields: { status } });
  }
  return status;
}

/**
 * One hook, from what OpenVPN gave to its exit status: `up` fails when the rules are not in force, so that OpenVPN gives up; `down` and
 * `route-up` are always 0, because a failing `down` ends a reconnect and a failing `route-up` is ignored (openvpn init.c). What the profile
 * calls in turn (`--then`) is called once the rules are in force, after `down` whatever happened; `up` fails with its status.
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

/** The body of the hooks' files. */
export function main(hook: HookName): void {
  const host = linuxHost({ name: hook, milliseconds: HOOK_MILLISECONDS, shown: 'info' });
  process.exitCode = runHook(hook, { argv: process.argv.slice(2), env: process.env }, host);
}
