import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import type { Demand } from './demand.ts';
import { type NoteName, readNote, removeNote, writeNote } from './note.ts';
import { nameserverDifferences, resolvConfLines } from './resolv-conf-text.ts';
import { mustRun, type Strategy } from './strategy.ts';

/**
 * The one record for all tunnels. By its first letters Debian's resolvconf puts it before every
 * network card (interface-order(5)).
 */
export const RECORD = 'tun.ovpn-killswitch';

/** Whether the record is what these demands make; a reader of files sees only what we noted. */
export function recordDifferences(
  host: Host,
  name: NoteName,
  demands: readonly Demand[],
): readonly string[] {
  return readNote(host, name) === resolvConfLines(demands)
    ? []
    : ['resolvconf holds another record, or none'];
}

/** Gives resolvconf the record, with options before it. */
export function addRecord(
  host: Host,
  name: NoteName,
  options: readonly string[],
  demands: readonly Demand[],
): void {
  const stdin = resolvConfLines(demands);
  writeNote(host, name, stdin);
  mustRun(host, { program: 'resolvconf', args: [...options, '-a', RECORD], stdin });
}

/**
 * Debian's resolvconf. It cannot leave others out: ours come first, and who comes after them is
 * asked only when they do not answer.
 */
export const resolvconf: Strategy = {
  title: 'resolvconf',
  inUse: (host) => readNote(host, 'resolvconf') !== undefined,
  differences: (host, demands, asks) => [
    ...recordDifferences(host, 'resolvconf', demands),
    ...(asks ? nameserverDifferences(readAnybodys(host, PATHS.resolvConf), demands, false) : []),
  ],
  set: (host, demands) => addRecord(host, 'resolvconf', [], demands),
  restore: (host) => {
    mustRun(host, { program: 'resolvconf', args: ['-d', RECORD] });
    removeNote(host, 'resolvconf');
  },
};
