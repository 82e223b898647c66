import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import type { Demand } from './demand.ts';
import { type NoteName, readNote, removeNote, writeNote } from './note.ts';
import { nameserverDifferences, resolvConfLines } from './resolv-conf-text.ts';
import { mustRun, type Strategy } from './strategy.ts';

/**
 * The one record for all tunnels. Its first letters make Debian's resolvconf put it before every
 * network card (interface-order(5)).
 */
export const RECORD = 'tun.ovpn-killswitch';

/** Compares the record with the demands; a reader of files sees only this product's note. */
export function recordDifferences(
  files: Files,
  name: NoteName,
  demands: readonly Demand[],
): readonly string[] {
  return readNote(files, name) === resolvConfLines(demands)
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
 * Debian's resolvconf. It cannot exclude other records: this product's come first, and the next are
 * asked only when those do not answer.
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
