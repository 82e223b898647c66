import type { Backend } from '../backend/backend.ts';
import type { BackendFacts } from '../backend/choose-backend.ts';
import { iptables } from '../backend/iptables.ts';
import { nftables } from '../backend/nftables.ts';
import { orElse } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { FAMILIES } from '../net/address.ts';
import type { BackendName, Settings } from '../policy/settings.ts';
import { handsOverFrames, tellsFrames } from './bridged-frames.ts';
import { firewalldFlushesIptables } from './firewalld.ts';
import { iptablesFails } from './iptables-trial.ts';
import { nftablesFails } from './nftables-trial.ts';

/**
 * Whether the kernel has the second wall's table in both families. Assumes so for a process that
 * may not ask.
 */
function hasWallTable(host: Host): boolean {
  const tools = [
    'iptables-restore',
    ...(host.has('ip6tables-restore') && host.exists(PATHS.ipv6)
      ? ['ip6tables-restore' as const]
      : []),
  ] as const;
  // A listing would read every program's rules.
  const args = ['--noflush', '--test'];
  return (
    !host.mayChangeRules() ||
    tools.every((program) => host.run({ program, args, stdin: '*mangle\nCOMMIT\n' }).status === 0)
  );
}

/** The record's facts about the rules: whether they are loaded, and in which shape. */
export interface Recorded {
  readonly locked: boolean;
  readonly backend: BackendName;
  /** Whether iptables' second wall is part of them. */
  readonly wall: boolean;
  /** Whether iptables' rules for bridged frames are part of them. */
  readonly frames?: true;
}

/** Returns the installed tools, and whether the kernel has IPv6. */
export function readTools(host: Host): Pick<BackendFacts, 'has' | 'ipv6'> {
  return {
    has: {
      nft: host.has('nft'),
      iptables: host.has('iptables-restore') && host.has('iptables-save'),
      ip6tables: host.has('ip6tables-restore') && host.has('ip6tables-save'),
    },
    ipv6: host.exists(PATHS.ipv6),
  };
}

/**
 * Reads the facts of this machine for the choice of a backend. `record` is the lock's: a locked
 * machine keeps its backend. With `anew` the setting decides even on a locked machine.
 */
export function readBackendFacts(
  host: Host,
  setting: Settings['backend'],
  record: Recorded | 'anew' | undefined,
): BackendFacts {
  const relock = record === 'anew';
  const loaded = !relock && record?.locked === true ? record : undefined;
  return {
    setting,
    locked: loaded?.backend,
    ...readTools(host),
    flushed: () => firewalldFlushesIptables(host),
    iptablesFails: () =>
      iptablesFails(
        host,
        host.exists(PATHS.ipv6) && host.has('ip6tables-save') ? FAMILIES : ['ipv4'],
      ),
    nftablesFails: () => nftablesFails(host),
    wall: () => (relock ? hasWallTable(host) : loaded === undefined || loaded.wall),
    frames: () =>
      relock
        ? tellsFrames(host)
        : loaded !== undefined
          ? loaded.frames === true
          : handsOverFrames(host),
  };
}

/**
 * Whether the kernel has tables of iptables-legacy (proc(5), ip_tables_names). A query for a
 * missing table creates it. Where an unprivileged container may not read their names,
 * iptables-legacy may not either.
 */
export function hasLegacyTables(files: Files): boolean {
  return ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'].some((path) =>
    orElse(
      () => (files.read(path) ?? '') !== '',
      () => false,
    ),
  );
}

/** Returns every backend that works with the installed tools, whichever this machine uses. */
export function installedBackends(host: Host): readonly Backend[] {
  const { has, ipv6 } = readTools(host);
  const families = ipv6 && has.ip6tables ? FAMILIES : (['ipv4'] as const);
  return [
    ...(has.iptables ? [iptables(families, '', true, handsOverFrames(host))] : []),
    ...(has.nft ? [nftables] : []),
  ];
}
