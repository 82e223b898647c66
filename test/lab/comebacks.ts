import type { Transport } from '../../src/proof/probes.ts';
import type { OpenvpnVersion } from '../support/debian-root.ts';

/** The part of a profile that decides what becomes of a connection that breaks. */
export interface Combination {
  readonly transport: Transport;
  readonly persistTun: boolean;
  readonly upRestart: boolean;
  readonly user: 'root' | 'nobody';
}

export const RECONNECTS = ['SIGUSR1', 'server killed and back', 'second remote'] as const;
export type Reconnect = (typeof RECONNECTS)[number];

/** Its fate without anybody's help, when it does not simply come back. */
export interface Exception {
  readonly versions: readonly OpenvpnVersion[];
  readonly persistTun: boolean;
  readonly users: readonly Combination['user'][];
  readonly events: readonly Reconnect[];
  readonly comeback: 'tries in vain' | 'ends' | 'comes back with the first rules';
  readonly why: string;
}

/** Neither the transport nor up-restart makes a difference. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    versions: ['2.5', '2.6', '2.7'],
    persistTun: true,
    users: ['root', 'nobody'],
    events: ['second remote'],
    comeback: 'tries in vain',
    why: 'the way to the second server leads into the dead tunnel',
  },
  {
    versions: ['2.5'],
    persistTun: false,
    users: ['nobody'],
    events: RECONNECTS,
    comeback: 'ends',
    why: 'without root it cannot open the device again',
  },
  {
    versions: ['2.6', '2.7'],
    persistTun: false,
    users: ['nobody'],
    events: ['second remote'],
    comeback: 'comes back with the first rules',
    why: 'it keeps the right to open the device, but its hooks do not get it',
  },
];

/**
 * The exception for a cell of the table; undefined where the connection comes back with the rules
 * that it needs.
 */
export function exceptionFor(
  version: OpenvpnVersion,
  { persistTun, user }: Combination,
  event: Reconnect,
): Exception | undefined {
  return EXCEPTIONS.find(
    (each) =>
      each.versions.includes(version) &&
      each.persistTun === persistTun &&
      each.users.includes(user) &&
      each.events.includes(event),
  );
}
