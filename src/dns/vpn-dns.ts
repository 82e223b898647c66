import { KillswitchError } from '../errors.ts';
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
function nmcli(processes: Processes, args: readonly string[], changes?: 'connection'): string {
  const { status, stdout, stderr } = processes.run({
    program: 'nmcli',
    args,
    ...(changes && { changes }),
  });
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
  const texts = nmcli(processes, ['-g', KEYS.join(','), 'connection', 'show', 'uuid', connection])
    .trim()
    .split('\n');
  if (isPriorities(texts)) return texts;
  throw new KillswitchError(
    'PROFILE',
    'NetworkManager did not report the dns-priority of the connection',
    'Run "nmcli connection show" and check the name of the connection.',
    [printable(texts.join(' '))],
  );
}

function setPriorities(processes: Processes, connection: ConnectionUuid, values: Priorities): void {
  nmcli(
    processes,
    [
      'connection',
      'modify',
      'uuid',
      connection,
      ...KEYS.flatMap((key, index) => [key, values[index] ?? EXCLUSIVE]),
    ],
    'connection',
  );
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

/**
 * Makes NetworkManager ask only this connection's resolvers while it is up, and keeps the previous
 * priorities. Returns whether that changed anything.
 * @throws KillswitchError PROFILE when NetworkManager refuses.
 */
export function makeDnsExclusive(host: Host, connection: ConnectionUuid): boolean {
  const now = priorities(host, connection);
  if (now.every((each) => Number(each) < 0)) return false;
  // Keep the previous values before the change: after a crash in between they can still be
  // restored.
  writeBefore(host, new Map([...readBefore(host), [connection, now]]));
  setPriorities(host, connection, [EXCLUSIVE, EXCLUSIVE]);
  return true;
}

/**
 * Restores the priorities that `makeDnsExclusive` found, unless another program or person has
 * changed them since. Returns whether that changed anything.
 * @throws KillswitchError PROFILE when NetworkManager refuses.
 */
export function restoreDns(host: Host, connection: ConnectionUuid): boolean {
  const before = new Map(readBefore(host));
  const old = before.get(connection);
  if (old === undefined) return false;
  const ours = priorities(host, connection).every((each) => each === EXCLUSIVE);
  if (ours) setPriorities(host, connection, old);
  before.delete(connection);
  writeBefore(host, before);
  return ours;
}

/** Lists the connections whose resolvers this product made exclusive. */
export function exclusiveConnections(files: Files): readonly ConnectionUuid[] {
  return [...readBefore(files).keys()];
}
