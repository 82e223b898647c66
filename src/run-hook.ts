import { choose } from './backend/choose.ts';
import { asKillswitchError, EXIT, explainError, KillswitchError } from './errors.ts';
import type { Host } from './host/host.ts';
import { linuxHost } from './host/linux.ts';
import { gatherKnown, savedKnown } from './machine/known-endpoints.ts';
import {
  devices,
  type LiveTunnel,
  readLiveTunnels,
  removeLiveTunnel,
  sameLiveTunnel,
  startOf,
  writeLiveTunnel,
} from './machine/live-tunnels.ts';
import { loadSettings } from './machine/load-settings.ts';
import { readLockRecord } from './machine/lock-record.ts';
import { readWorld } from './machine/world.ts';
import type { InterfaceName } from './net/interface-name.ts';
import { baseOf, describe, type Known } from './policy/policy.ts';
import type { Settings } from './policy/settings.ts';
import { look } from './transaction/apply.ts';
import { converge } from './transaction/converge.ts';
import { lockMachine } from './transaction/lock.ts';
import { type HookInput, readOpenvpnHook } from './tunnel/from-openvpn.ts';
import { type HookEvent, type HookName, peerEndpoints } from './tunnel/hook-event.ts';

/** OpenVPN stands still while a hook runs and a server drops a silent client after a minute or so: a hook that is not done by then gives up. */
const HOOK_MILLISECONDS = 20_000;

/** How many refused values one entry of the log holds: a server can send thousands at each reconnect and must not fill the disk. */
const MOST_REFUSED = 20;

type TunnelUp = Extract<HookEvent, { kind: 'tunnel-up' }>;

function logRefused(host: Host, { refused, tunnel }: TunnelUp): void {
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

function liveTunnel(host: Host, event: TunnelUp, known: Parameters<typeof peerEndpoints>[1]): LiveTunnel {
  const start = event.daemon === undefined ? undefined : startOf(host, event.daemon);
  return {
    tunnel: { ...event.tunnel, endpoints: peerEndpoints(event.peer, known) },
    since: host.now(),
    daemon: event.daemon === undefined || start === undefined ? undefined : { pid: event.daemon, start },
    deviceSeen: devices(host).has(event.tunnel.device),
  };
}

/** What the last `lock` read from the profiles; without one they are read now. */
function knownOf(host: Host, settings: Settings): Known {
  return savedKnown(host) ?? gatherKnown(host, settings);
}

/** Whether any rule of ours is in the kernel. */
function isLoaded(host: Host, settings: Settings): boolean {
  return look(host, choose(readWorld(host, settings.backend)).backend).present;
}

/** The kernel as it should be now; locks a machine on which nobody has decided yet. */
function load(host: Host, settings: Settings, added?: InterfaceName): void {
  const record = readLockRecord(host);
  if (record === undefined) {
    const { policy, applied, choice } = lockMachine(host, settings);
    host.log({
      level: 'warn',
      event: 'locked',
      message: `locked by this hook: ${describe(policy)} (${choice.trace.join('; ')}); "ovpn-killswitch unlock" opens`,
      fields: { applied },
    });
    return;
  }
  const { backend } = choose(readWorld(host, settings.backend));
  const base = baseOf(settings, knownOf(host, settings));
  const converged = converge(host, backend, base, added);
  if (converged === undefined) {
    host.log({ level: 'warn', event: 'not-locked', message: 'this machine was UNLOCKED meanwhile, nothing is guarded' });
    return;
  }
  const { policy, applied } = converged;
  host.log({ level: 'info', event: 'applied', message: describe(policy), fields: { applied, backend: backend.name } });
}

function tunnelUp(host: Host, event: TunnelUp): void {
  logRefused(host, event);
  const { device } = event.tunnel;
  const before = readLiveTunnels(host).find(({ tunnel }) => tunnel.device === device);
  if (!host.mayChangeRules()) {
    const known = before?.tunnel.endpoints ?? [];
    const right = before !== undefined && sameLiveTunnel(before, liveTunnel(host, event, known));
    const what = right
      ? 'the rules loaded before still fit'
      : 'nothing was changed; the rules loaded before are stricter than this connection needs';
    host.log({ level: right ? 'info' : 'warn', event: 'unprivileged', message: `${device}: this hook runs without root, so ${what}` });
    return;
  }
  const settings = loadSettings(host);
  const live = liveTunnel(host, event, baseOf(settings, knownOf(host, settings)).endpoints);
  // A tunnel that is known with these very facts keeps its time: `route-up` says again what `up` said.
  if (before === undefined || !sameLiveTunnel(before, live)) writeLiveTunnel(host, live);
  if (readLockRecord(host)?.locked === false) {
    host.log({
      level: 'warn',
      event: 'not-locked',
      message: `${device}: this machine is UNLOCKED, nothing is guarded; "ovpn-killswitch lock" guards it`,
    });
    return;
  }
  load(host, settings, device);
}

function tunnelDown(host: Host, device: InterfaceName): void {
  if (!host.mayChangeRules()) {
    host.log({
      level: 'info',
      event: 'unprivileged',
      message: `${device}: this hook runs without root; what the rules let into ${device} ends with it`,
    });
    return;
  }
  // First of all: whatever goes wrong below, the next hook or `lock` no longer counts this tunnel.
  removeLiveTunnel(host, device);
  const record = readLockRecord(host);
  if (record?.locked === false) return;
  const settings = loadSettings(host);
  // Without a record that can be read the kernel alone tells whether this machine was ever locked.
  if (record === undefined && !isLoaded(host, settings)) return;
  load(host, settings);
}

function runEvent(host: Host, event: HookEvent): void {
  switch (event.kind) {
    case 'tunnel-up':
      tunnelUp(host, event);
      return;
    case 'tunnel-down':
      tunnelDown(host, event.device);
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

/**
 * One hook, from what OpenVPN gave to its exit status: `up` fails when the rules are not in force, so that OpenVPN gives up; `down` and
 * `route-up` are always 0, because a failing `down` ends a reconnect and a failing `route-up` is ignored (openvpn init.c).
 */
export function runHook(hook: HookName, input: HookInput, host: Host): number {
  try {
    runEvent(host, readOpenvpnHook(hook, input));
    return EXIT.ok;
  } catch (thrown) {
    const error = asKillswitchError(thrown);
    for (const line of explainError(error)) host.log({ level: 'error', event: 'failed', message: line, fields: { code: error.code } });
    return hook === 'up' ? error.exit : EXIT.ok;
  }
}

/** The body of the hooks' files. */
export function main(hook: HookName): void {
  const host = linuxHost({ name: hook, milliseconds: HOOK_MILLISECONDS, shown: 'info' });
  process.exitCode = runHook(hook, { argv: process.argv.slice(2), env: process.env }, host);
}
