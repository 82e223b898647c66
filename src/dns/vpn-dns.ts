import { KillswitchError } from '../errors.ts';
import type { Command } from '../host/command.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { Processes } from '../host/processes.ts';
import { field, parseJson } from '../machine/json.ts';
import { printable } from '../net/printable.ts';
import { type ConnectionUuid, parseConnectionUuid } from '../tunnel/networkmanager-event.ts';

const FILE = `${PATHS.state}/networkmanager.json`;
const KEYS = ['ipv4.dns-priority', 'ipv6.dns-priority'] as const;
/**
 * A value below zero excludes the resolvers of all connections with a higher value
 * (nm-settings-nmcli(5)).
 */
const EXCLUSIVE = '-50';

/** `dns-priority` of IPv4 and of IPv6. */
type Priorities = readonly [ipv4: string, ipv6: string];

function isPriorities(texts: readonly (string | undefined)[]): texts is Priorities {
  return (
    texts.length === KEYS.length &&
    texts.every((text) => text !== undefined && /^-?\d{1,10}$/.test(text))
  );
}

/** Runs nmcli and returns its output. @throws KillswitchError PROFILE with nmcli's message. */
function nmcli(processes: Processes, command: Command): string {
  const { status, stdout, stderr } = processes.run(command);
  if (status === 0) return stdout;
  const said = stderr.trim().split('\n').map(printable);
  throw new KillswitchError(
    'PROFILE',
    'NetworkManager does not change the connection',
    'Check that NetworkManager runs ("nmcli general"), then run the command again.',
    said,
  );
}

function priorities(processes: Processes, connection: ConnectionUuid): Priorities {
  const args = ['-g', KEYS.join(','), 'connection', 'show', 'uuid', connection];
  const texts = nmcli(processes, { program: 'nmcli', args }).trim().split('\n');
  if (isPriorities(texts)) return texts;
  throw new KillswitchError(
    'PROFILE',
    'NetworkManager did not report the dns-priority of the connection',
    'Run "nmcli connection show" and check the name of the connection.',
    [printable(texts.join(' '))],
  );
}

function modify(connection: ConnectionUuid, values: Priorities): Command {
  const wanted = KEYS.flatMap((key, index) => [key, values[index] ?? EXCLUSIVE]);
  return {
    program: 'nmcli',
    args: ['connection', 'modify', 'uuid', connection, ...wanted],
    changes: 'connection',
  };
}

function setPriorities(processes: Processes, connection: ConnectionUuid, values: Priorities): void {
  nmcli(processes, modify(connection, values));
}

/** Reads the priorities that connections had before `makeDnsExclusive`. */
function readBefore(files: Files): ReadonlyMap<ConnectionUuid, Priorities> {
  const json = parseJson(files.read(FILE) ?? '');
  if (typeof json !== 'object' || json === null) return new Map();
  return new Map(
    Object.keys(json).flatMap((key) => {
      const uuid = parseConnectionUuid(key);
      const values = KEYS.map((each) => field(field(json, key), each)).map((each) =>
        typeof each === 'string' ? each : undefined,
      );
      return uuid === undefined || !isPriorities(values) ? [] : [[uuid, values] as const];
    }),
  );
}

function writeBefore(files: Files, before: ReadonlyMap<ConnectionUuid, Priorities>): void {
  if (before.size === 0) {
    files.remove(FILE);
    return;
  }
  const json = [...before].map(([uuid, values]) => [
    uuid,
    Object.fromEntries(KEYS.map((key, index) => [key, values[index]])),
  ]);
  files.write(FILE, `${JSON.stringify(Object.fromEntries(json), null, 1)}\n`);
}

/** A change of a connection's priorities that is still to be made. */
interface Planned {
  readonly before: Priorities;
  readonly after: Priorities;
}

/** Returns undefined where the connection's resolvers are exclusive already. */
function planExclusive(processes: Processes, connection: ConnectionUuid): Planned | undefined {
  const now = priorities(processes, connection);
  return now.every((each) => Number(each) < 0)
    ? undefined
    : { before: now, after: [EXCLUSIVE, EXCLUSIVE] };
}

/** Returns undefined where there is nothing to restore, or somebody has changed it since. */
function planRestore(host: Host, connection: ConnectionUuid): Planned | undefined {
  const after = readBefore(host).get(connection);
  if (after === undefined) return undefined;
  const before = priorities(host, connection);
  return before.every((each) => each === EXCLUSIVE) ? { before, after } : undefined;
}

/**
 * Makes NetworkManager ask only this connection's resolvers while it is up, and keeps the previous
 * priorities. Returns whether that changed anything.
 * @throws KillswitchError PROFILE when NetworkManager refuses.
 */
export function makeDnsExclusive(host: Host, connection: ConnectionUuid): boolean {
  const planned = planExclusive(host, connection);
  if (planned === undefined) return false;
  // Keep the previous values before the change: after a crash in between they can still be
  // restored.
  writeBefore(host, new Map([...readBefore(host), [connection, planned.before]]));
  setPriorities(host, connection, planned.after);
  return true;
}

/**
 * Restores the priorities that `makeDnsExclusive` found, unless another program or person has
 * changed them since. Returns whether that changed anything.
 * @throws KillswitchError PROFILE when NetworkManager refuses.
 */
export function restoreDns(host: Host, connection: ConnectionUuid): boolean {
  const before = new Map(readBefore(host));
  if (!before.has(connection)) return false;
  const planned = planRestore(host, connection);
  if (planned !== undefined) setPriorities(host, connection, planned.after);
  before.delete(connection);
  writeBefore(host, before);
  return planned !== undefined;
}

/**
 * Returns the command by which `makeDnsExclusive` or `restoreDns` would change the connection;
 * undefined where neither would. Changes nothing.
 * @throws KillswitchError PROFILE when NetworkManager refuses.
 */
export function planDns(
  host: Host,
  connection: ConnectionUuid,
  how: 'exclusive' | 'restored',
): Command | undefined {
  const planned =
    how === 'exclusive' ? planExclusive(host, connection) : planRestore(host, connection);
  return planned && modify(connection, planned.after);
}

/** Lists the connections whose resolvers this product made exclusive. */
export function exclusiveConnections(files: Files): readonly ConnectionUuid[] {
  return [...readBefore(files).keys()];
}
