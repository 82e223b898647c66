import type { ChainPolicy } from '../backend/backend.ts';
import {
  BUILTINS,
  type BuiltinName,
  KNOWN_TABLES,
  type Table,
} from '../backend/iptables-tables.ts';
import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { type BootTime, bootTime, secondsUntil } from '../machine/boot-time.ts';
import {
  fitting,
  flag,
  listOfFitting,
  made,
  object,
  oneOf,
  optional,
  type Parsed,
  parseState,
  whole,
} from '../machine/schema.ts';
import type { Family } from '../net/address.ts';
import type { Portal } from '../policy/portal.ts';
import type { BackendName } from '../policy/settings.ts';
import { forgetLastTransaction } from './last-transaction.ts';
import { type OpenedPortal, openedPortal, openedPortalJson } from './portal-record.ts';
import { stateText } from './state-file.ts';

export const LOCK_RECORD: string = `${PATHS.state}/lock.json`;
/** Holds one word: locked or not. */
export const PLAIN_FILE = `${PATHS.state}/lock.plain`;

/**
 * The builtin chains' previous policies, and the builtin chains that the first change created, as
 * plain lines.
 */
export const POLICIES_BEFORE: string = `${PATHS.state}/before.policies`;
export const CHAINS_MADE: string = `${PATHS.state}/before.made`;

/** A builtin chain of one family in one of our tables. */
export interface BuiltinChain {
  readonly family: Family;
  readonly table: Table;
  readonly chain: BuiltinName;
}

/** Facts of every record: the loaded rules, and the machine's state before the first `lock`. */
interface RecordFacts {
  /** Seconds since 1970. */
  readonly since: number;
  readonly backend: BackendName;
  /** Whether iptables' second wall is part of it. */
  readonly wall: boolean;
  /** Whether iptables' rules for bridged frames are part of it. Missing means no. */
  readonly frames?: true;
  /** The builtin chains' policies before the first change: `unlock` restores them. */
  readonly before: readonly ChainPolicy[];
  /** The builtin chains that the lock created: `unlock` removes them. */
  readonly made: readonly BuiltinChain[];
}

/** At `ends` the record reverts to its opposite: an unconfirmed lock, or an `unlock --for`. */
interface Timed {
  readonly kind: 'timed';
  readonly ends: BootTime;
}

/**
 * Until `ends` this lock is on trial and keeps its files in `PATHS.trial`. Then the previous lock
 * holds again.
 */
interface Trial {
  readonly kind: 'trial';
  readonly ends: BootTime;
}

/** Hooks leave the kernel alone. */
interface OpenRecord extends RecordFacts {
  readonly locked: false;
  readonly term?: Timed;
  readonly portal?: never;
}

interface LockedRecord extends RecordFacts {
  readonly locked: true;
  readonly term?: Timed | Trial;
  /** The last opened portal, unless it was closed. */
  readonly portal?: OpenedPortal;
}

/**
 * A person's last decision. A record without a term lasts. Only a locked record is on trial or has
 * a portal. No record is both on trial and timed.
 */
export type LockRecord = OpenRecord | LockedRecord;

const CHAIN = {
  family: oneOf('ipv4', 'ipv6'),
  chain: oneOf('INPUT', 'FORWARD', 'OUTPUT'),
} as const;

/**
 * A builtin chain that iptables created for us. Records older than the second wall name no table.
 */
const MADE = made(
  object({
    family: oneOf('ipv4', 'ipv6'),
    table: optional(oneOf(...KNOWN_TABLES)),
    chain: oneOf('INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'),
  }),
  ({ family, table = 'filter', chain }): BuiltinChain | string =>
    BUILTINS[table].some((each) => each.chain === chain)
      ? { family, table, chain }
      : `no chain ${chain} is ours in ${table}`,
);

/** The field of the file that holds each kind of term. */
const FIELD_OF = { timed: 'until', trial: 'trial' } as const;

const RECORD = made(
  object({
    locked: flag,
    since: whole(0),
    backend: oneOf('iptables', 'nftables'),
    // Records older than the second wall have no wall and name no table.
    wall: optional(flag),
    frames: optional(flag),
    before: listOfFitting(object({ ...CHAIN, policy: oneOf('ACCEPT', 'DROP') })),
    // The script `recover` leaves these out.
    made: optional(listOfFitting(MADE)),
    until: optional(bootTime),
    trial: optional(bootTime),
    // A damaged portal counts as none, and the lock around it holds.
    portal: fitting(openedPortal),
  }),
  ({
    locked,
    since,
    backend,
    wall = false,
    frames,
    before,
    made: chains = [],
    until,
    trial,
    portal,
  }): LockRecord | string => {
    const facts = {
      since,
      backend,
      wall,
      before,
      made: chains,
      ...(frames === true && { frames }),
    };
    const timed = until && ({ kind: 'timed', ends: until } as const);
    if (timed && trial) return 'it holds for a time and is on trial, and can only be one of them';
    if (!locked)
      return trial || portal
        ? 'it is open, and nothing open is on trial or has a portal'
        : { ...facts, locked, ...(timed && { term: timed }) };
    const term = trial ? ({ kind: 'trial', ends: trial } as const) : timed;
    return { ...facts, locked, ...(term && { term }), ...(portal && { portal }) };
  },
);

/** Cached: a hook reads the record several times, and its text seldom changes. */
let readBefore: { readonly text: string; readonly read: Parsed<LockRecord> } | undefined;

function read(files: Files): Parsed<LockRecord> | undefined {
  const text = stateText(files, LOCK_RECORD);
  if (text === undefined || 'refused' in text) return text;
  if (readBefore?.text !== text.value)
    readBefore = { text: text.value, read: parseState(text.value, RECORD) };
  return readBefore.read;
}

/**
 * Reads the record as written; undefined when it is refused, or no person has locked or unlocked
 * this machine.
 */
export function readWrittenRecord(files: Files): LockRecord | undefined {
  const found = read(files);
  return found !== undefined && 'value' in found ? found.value : undefined;
}

/**
 * Says why the record is refused; undefined when it is valid or missing. With a refused record
 * nobody has decided, and the next `up` locks the machine.
 */
export function refusedRecord(files: Files): string | undefined {
  const found = read(files);
  return found !== undefined && 'refused' in found ? found.refused : undefined;
}

/** Returns the record without its term. */
export function lasting({ term: _, ...record }: LockRecord): LockRecord {
  return record;
}

/** Returns the opposite record, without a term. */
export function opposite({ term: _, portal: __, ...record }: LockRecord): LockRecord {
  return record.locked ? { ...record, locked: false } : { ...record, locked: true };
}

/** Whether the record has a term that has expired. */
export function isTermOver(files: Files, { term }: LockRecord): boolean {
  return term !== undefined && secondsUntil(files, term.ends) === 0;
}

/**
 * Reads the record in force. An expired timed record means its opposite, and an expired trial means
 * no record.
 */
export function readLockRecord(files: Files): LockRecord | undefined {
  const written = readWrittenRecord(files);
  if (written === undefined || !isTermOver(files, written)) return written;
  return written.term?.kind === 'timed' ? opposite(written) : lasting(written);
}

/** Returns the open portal; undefined once it expires. */
export function openPortalOf(files: Files, record: LockRecord | undefined): Portal | undefined {
  const opened = record?.portal;
  return opened !== undefined && secondsUntil(files, opened.ends) > 0 ? opened.portal : undefined;
}

/** Whether a machine with this record boots locked. A boot ends every term. */
export function bootsLocked(record: LockRecord | undefined): boolean {
  return record !== undefined && record.locked === (record.term?.kind !== 'timed');
}

/**
 * Whether the file for the script `boot` exists. Without it the script takes the machine for
 * locked.
 */
export function hasPlainRecord(files: Files): boolean {
  return files.exists(PLAIN_FILE);
}

export function writePlainRecord(files: Files, locked: boolean): void {
  files.write(PLAIN_FILE, locked ? 'locked\n' : 'unlocked\n');
}

/**
 * Writes the record, and plain lines for the scripts `recover` and `boot`, which have no JSON
 * parser. Forgets the last transaction first, so that a crash before the load leaves no stale
 * fingerprint.
 */
export function writeLockRecord(files: Files, record: LockRecord): void {
  forgetLastTransaction(files);
  const policies = record.before.map(
    ({ family, chain, policy }) => `${family} ${chain} ${policy}\n`,
  );
  const made = record.made.map(({ family, chain, table }) => `${family} ${chain} ${table}\n`);
  files.write(POLICIES_BEFORE, policies.join(''));
  files.write(CHAINS_MADE, made.join(''));
  writePlainRecord(files, bootsLocked(record));
  const { locked, since, backend, wall, frames, before, portal, term } = record;
  // In this order, so that the same record is always the same text.
  const json = {
    version: 1,
    locked,
    since,
    backend,
    wall,
    ...(frames && { frames }),
    before: before.map(({ family, chain, policy }) => ({ family, chain, policy })),
    made: record.made.map(({ family, table, chain }) => ({ family, table, chain })),
    ...(term && { [FIELD_OF[term.kind]]: term.ends }),
    ...(portal && { portal: openedPortalJson(portal) }),
  };
  files.write(LOCK_RECORD, `${JSON.stringify(json, null, 1)}\n`);
}
