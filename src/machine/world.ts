import type { Backend } from '../backend/backend.ts';
import type { World } from '../backend/choose.ts';
import { iptables } from '../backend/iptables.ts';
import { nftables } from '../backend/nftables.ts';
import { orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { FAMILIES } from '../net/address.ts';
import type { BackendName, Settings } from '../policy/settings.ts';
import { handsOverFrames, tellsFrames } from './bridged-frames.ts';
import { firewalldFlushesIptables } from './firewalld.ts';
import { iptablesFails } from './iptables-trial.ts';
import { nftablesFails } from './nftables-trial.ts';

/**
 * Whether the kernel has the table of the second wall in both families; who may not ask takes it
 * for there.
 */
function hasWallTable(host: Host): boolean {
  const tools = [
    'iptables-restore',
    ...(host.has('ip6tables-restore') && host.exists(PATHS.ipv6)
      ? ['ip6tables-restore' as const]
      : []),
  ] as const;
  // A list would read every rule of everybody.
  const args = ['--noflush', '--test'];
  return (
    !host.mayChangeRules() ||
    tools.every((program) => host.run({ program, args, stdin: '*mangle\nCOMMIT\n' }).status === 0)
  );
}

/** What the record says of the rules: whether they are loaded, and in which shape. */
export interface Recorded {
  readonly locked: boolean;
  readonly backend: BackendName;
  /** Whether iptables' second wall is part of them. */
  readonly wall: boolean;
  /** Whether iptables' rules for bridged frames are part of them. */
  readonly frames?: true;
}

/** The tools that are installed here, and whether the kernel has IPv6. */
export function readTools(host: Host): Pick<World, 'has' | 'ipv6'> {
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
 * What the choice of a backend may look at, on this machine. `record` is the lock's, which a locked
 * machine keeps to; `anew`: the setting counts, whatever the machine is locked with.
 */
export function readWorld(
  host: Host,
  setting: Settings['backend'],
  record: Recorded | 'anew' | undefined,
): World {
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
 * Whether the kernel has tables of iptables-legacy (proc(5), ip_tables_names): asking for those
 * that it has not makes them. Where an unprivileged container may not read their names,
 * iptables-legacy itself may not either.
 */
export function hasLegacyTables(host: Host): boolean {
  return ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'].some((path) =>
    orElse(
      () => (host.read(path) ?? '') !== '',
      () => false,
    ),
  );
}

/** Every backend that can be asked here, whichever this machine uses. */
export function installedBackends(host: Host): readonly Backend[] {
  const { has, ipv6 } = readTools(host);
  const families = ipv6 && has.ip6tables ? FAMILIES : (['ipv4'] as const);
  return [
    ...(has.iptables ? [iptables(families, '', true, handsOverFrames(host))] : []),
    ...(has.nft ? [nftables] : []),
  ];
}
