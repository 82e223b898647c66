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
import { profileEndpoints } from '../record/known-endpoints.ts';
import {
  type LiveTunnel,
  liveText,
  readLiveTunnels,
  readTunnels,
  sameLiveTunnel,
} from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { offloadedOf } from '../record/offloaded.ts';
import { savedKnown } from '../record/saved-known.ts';
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

/**
 * Ends a connection's tunnels and forgets its devices, all but `except`. Returns whether there were
 * any.
 */
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
 * Locks a machine without any decision, as `up` does, but resolves names first: NetworkManager does
 * not report the address that the client is connected to.
 */
function lockUndecided(host: Host): void {
  if (readLockRecord(host) !== undefined) return;
  const { policy, choice } = lockMachine(host, { asks: true });
  const message = `locked by this hook: ${describe(policy)} (${choice.trace.join('; ')}); "ovpn-killswitch unlock" opens`;
  host.log({ level: 'warn', event: 'locked', message });
  followNftables(host, HASTE_MILLISECONDS);
}

/**
 * Returns the profile of an OpenVPN connection. Other connections are ignored: nothing passes their
 * devices.
 */
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
  // NetworkManager does not report which of several remotes is in use. Those that the base allows
  // need no entry.
  const record = readLockRecord(host);
  const base = new Set(knownEndpoints(host, record).map(endpointText));
  const remotes = profileEndpoints(profile, savedKnown(host, record)?.pins ?? []);
  const endpoints =
    remotes.length === 1
      ? remotes
      : remotes.filter((endpoint) => !base.has(endpointText(endpoint)));
  // A connection has one device: its previous one ended without a report.
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

/** Whether NetworkManager reports a connection as up. */
function isActive(host: Host, connection: ConnectionUuid): boolean {
  const { status, stdout } = host.run({
    program: 'nmcli',
    args: ['-t', '-f', 'UUID', 'connection', 'show', '--active'],
  });
  return status === 0 && stdout.split('\n').includes(connection);
}

/** Whether a device exists and is up (linux/if.h, IFF_UP). */
function isUp(host: Host, device: InterfaceName): boolean {
  return (Number(host.read(`/sys/class/net/${device}/flags`)?.trim() ?? 0) & 1) === 1;
}

/**
 * Retires the tunnel of a device that went down. OpenVPN remakes its device when the server's
 * options change, so one of that name may already exist, without an address.
 */
function deviceDown(host: Host, { device }: Event<'device-down'>): void {
  const live = readLiveTunnels(host).find(({ tunnel }) => tunnel.device === device);
  if (live?.connection === undefined || isUp(host, device)) {
    clearGone(host);
    return;
  }
  // The plugin keeps connecting until `vpn-down`.
  retireTunnel(host, live, 'reconnecting');
  loadRemaining(host);
}

/**
 * Updates a tunnel whose device came up. OpenVPN may reconnect with another address or other
 * resolvers, on a new device, without a VPN event.
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
  // After an unreported crash of NetworkManager the device may belong to another program.
  if (!isActive(host, known.connection)) return;
  logRefused(host, event);
  host.write(`${PATHS.connections}/${device}`, liveText(live));
  admit(host, live, before);
}

/** Removes tunnels that ended without a report. */
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
    'Let NetworkManager start the dispatcher: it sets the variables.',
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
 * Runs one call of NetworkManager's dispatcher, which logs the exit status and continues whatever
 * it is.
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

/** Runs the dispatcher's file. */
export function main(): void {
  const host = linuxHost({ name: 'nm-dispatcher', milliseconds: HOOK_MILLISECONDS, shown: 'info' });
  process.exitCode = runDispatcher({ argv: process.argv.slice(2), env: process.env }, host);
}
