import { followNftables, HASTE_MILLISECONDS } from '../boot/follow-nftables.ts';
import { EXIT, type ExitStatus, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { linuxHost } from '../host/linux.ts';
import { PATHS } from '../host/paths.ts';
import { devices } from '../machine/tunnel-device.ts';
import { vpnConnection } from '../machine/vpn-connections.ts';
import { endpointText } from '../net/endpoint.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { printable } from '../net/printable.ts';
import { describe } from '../policy/policy.ts';
import {
  endFormer,
  readFormerRecords,
  retireTunnel,
  settleTunnels,
} from '../record/former-tunnels.ts';
import { profileEndpoints, savedKnown } from '../record/known-endpoints.ts';
import {
  type LiveTunnel,
  liveText,
  readLiveTunnels,
  readTunnels,
  sameLiveTunnel,
} from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { offloadedOf } from '../record/offloaded.ts';
import { lockMachine } from '../transaction/lock.ts';
import { readNetworkManagerCall } from '../tunnel/from-networkmanager.ts';
import type { HookInput } from '../tunnel/from-openvpn.ts';
import type { ConnectionUuid, NetworkManagerEvent } from '../tunnel/networkmanager-event.ts';
import type { Profile } from '../tunnel/profile.ts';
import { admit, knownEndpoints } from './admit.ts';
import { HOOK_MILLISECONDS } from './hook-milliseconds.ts';
import { loadRemaining } from './load-rules.ts';
import { logged, logRefused } from './logged.ts';

type Event<Kind extends NetworkManagerEvent['kind']> = Extract<NetworkManagerEvent, { kind: Kind }>;

/** Forgets what is known of a connection; whether that was anything. */
function forget(host: Host, connection: ConnectionUuid, except?: InterfaceName): boolean {
  const own = ({ connection: each, tunnel }: LiveTunnel) =>
    each === connection && tunnel.device !== except;
  const [live, known] = [
    readLiveTunnels(host).filter(own),
    readTunnels(host, PATHS.connections).filter(own),
  ];
  for (const each of live) retireTunnel(host, each, 'ended');
  const waiting = readFormerRecords(host).filter(
    (each) => each.kind === 'reconnecting' && each.connection === connection,
  );
  for (const each of waiting) endFormer(host, each);
  for (const { tunnel } of known) host.remove(`${PATHS.connections}/${tunnel.device}`);
  return live.length + known.length + waiting.length > 0;
}

/**
 * Locks a machine that nobody has decided about, as `up` does, but asks for names before:
 * NetworkManager does not tell the address to which the client has connected.
 */
function lockUndecided(host: Host): void {
  if (readLockRecord(host) !== undefined) return;
  const { policy, choice } = lockMachine(host, { asks: true });
  const message = `locked by this hook: ${describe(policy)} (${choice.trace.join('; ')}); "ovpn-killswitch unlock" opens`;
  host.log({ level: 'warn', event: 'locked', message });
  followNftables(host, HASTE_MILLISECONDS);
}

/** The profile of an OpenVPN connection. Any other is left alone: nothing passes its device. */
function profileOf(
  host: Host,
  { connection, file, again }: Event<'vpn-up' | 'vpn-without-device'>,
): Profile | undefined {
  const found = vpnConnection(host, connection, file);
  if (found?.profile === undefined && !again) {
    const why =
      found === undefined ? 'no keyfile tells what it is' : 'it is another VPN than OpenVPN';
    const message = `NetworkManager's connection ${connection} is left alone, and nothing passes its tunnel: ${why}`;
    host.log({ level: 'warn', event: 'left-alone', message, fields: { connection } });
  }
  return found?.profile;
}

function vpnUp(host: Host, event: Event<'vpn-up'>): void {
  const { connection, tunnel } = event;
  const profile = profileOf(host, event);
  if (profile === undefined) return;
  logRefused(host, event);
  lockUndecided(host);
  // Which of several remotes is in use is not told: those that the base allows already need no
  // word.
  const record = readLockRecord(host);
  const base = new Set(knownEndpoints(host, record).map(endpointText));
  const remotes = profileEndpoints(profile, savedKnown(host, record)?.pins ?? []);
  const endpoints =
    remotes.length === 1
      ? remotes
      : remotes.filter((endpoint) => !base.has(endpointText(endpoint)));
  // A connection has one device: what it had before ended without a word.
  forget(host, connection, tunnel.device);
  const live: LiveTunnel = {
    tunnel: { ...tunnel, endpoints, ...offloadedOf(host, tunnel.device) },
    since: host.now(),
    daemon: undefined,
    deviceSeen: devices(host).has(tunnel.device),
    connection,
  };
  host.write(`${PATHS.connections}/${tunnel.device}`, liveText(live));
  admit(
    host,
    live,
    readLiveTunnels(host).find((each) => each.tunnel.device === tunnel.device),
  );
}

/** Whether NetworkManager says that a connection is up. */
function isActive(host: Host, connection: ConnectionUuid): boolean {
  const { status, stdout } = host.run({
    program: 'nmcli',
    args: ['-t', '-f', 'UUID', 'connection', 'show', '--active'],
  });
  return status === 0 && stdout.split('\n').includes(connection);
}

/** Whether a device is there and up (linux/if.h, IFF_UP). */
function isUp(host: Host, device: InterfaceName): boolean {
  return (Number(host.read(`/sys/class/net/${device}/flags`)?.trim() ?? 0) & 1) === 1;
}

/**
 * OpenVPN makes its device anew when the server's options change: one of that name may be there
 * again, without an address.
 */
function deviceDown(host: Host, { device }: Event<'device-down'>): void {
  const live = readLiveTunnels(host).find(({ tunnel }) => tunnel.device === device);
  if (live?.connection === undefined || isUp(host, device)) {
    clearGone(host);
    return;
  }
  // Until `vpn-down` the plugin goes on connecting.
  retireTunnel(host, live, 'reconnecting');
  loadRemaining(host);
}

/**
 * OpenVPN may reconnect with another address or other resolvers, on a device made anew, without a
 * VPN event.
 */
function deviceUp(host: Host, event: Event<'device-up'>): void {
  const { device, resolvers } = event.tunnel;
  const known = readTunnels(host, PATHS.connections).find(({ tunnel }) => tunnel.device === device);
  const before = readLiveTunnels(host).find(({ tunnel }) => tunnel.device === device);
  if (
    known?.connection === undefined ||
    (before !== undefined && before.connection !== known.connection)
  )
    return;
  const live: LiveTunnel = {
    ...known,
    tunnel: {
      ...event.tunnel,
      resolvers: resolvers.length > 0 ? resolvers : known.tunnel.resolvers,
      endpoints: known.tunnel.endpoints,
      ...offloadedOf(host, device),
    },
    since: host.now(),
    deviceSeen: devices(host).has(device),
  };
  if (before !== undefined && sameLiveTunnel(before, live)) return;
  // After a crash of NetworkManager, which is not told either, the device may be anybody's.
  if (!isActive(host, known.connection)) return;
  logRefused(host, event);
  host.write(`${PATHS.connections}/${device}`, liveText(live));
  admit(host, live, before);
}

/** Takes tunnels away whose end nobody reported. */
function clearGone(host: Host): void {
  const ended = settleTunnels(host);
  const gone = [...ended.live, ...ended.reconnecting];
  if (gone.length + ended.returning.length === 0) return;
  if (gone.length > 0)
    host.log({
      level: 'warn',
      event: 'tunnel-stale',
      message: `${gone.join(', ')}: gone, and nobody reported the end: the rules go too`,
    });
  loadRemaining(host);
}

function unreadable(why: string): KillswitchError {
  return new KillswitchError(
    'ENVIRONMENT',
    `NetworkManager's call cannot be read: ${why}`,
    'Do not start hooks by hand.',
  );
}

function runEvent(host: Host, event: NetworkManagerEvent): void {
  switch (event.kind) {
    case 'vpn-up':
      vpnUp(host, event);
      return;
    case 'vpn-down':
      if (forget(host, event.connection)) loadRemaining(host);
      return;
    case 'device-up':
      deviceUp(host, event);
      return;
    case 'device-down':
      deviceDown(host, event);
      return;
    case 'other':
      clearGone(host);
      return;
    case 'vpn-without-device':
      if (profileOf(host, event) !== undefined) throw unreadable(event.why);
      return;
    case 'unreadable':
      throw unreadable(event.why);
    default:
      event satisfies never;
  }
}

/**
 * One call of NetworkManager's dispatcher, which logs the exit status and goes on whatever it is.
 */
export function runDispatcher(input: HookInput, host: Host): ExitStatus {
  const [, action = ''] = input.argv;
  const error = logged(host, () => {
    if (!host.mayChangeRules())
      throw new KillswitchError(
        'NOT_ROOT',
        `"${printable(action)}" needs root`,
        'Let NetworkManager start the dispatcher, which is root.',
      );
    runEvent(host, readNetworkManagerCall(input));
  });
  return error?.exit ?? EXIT.ok;
}

/** The body of the dispatcher's file. */
export function main(): void {
  const host = linuxHost({ name: 'nm-dispatcher', milliseconds: HOOK_MILLISECONDS, shown: 'info' });
  process.exitCode = runDispatcher({ argv: process.argv.slice(2), env: process.env }, host);
}
