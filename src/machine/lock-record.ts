import type { ChainPolicy } from '../backend/backend.ts';
import { BUILTINS, type BuiltinName, KNOWN_TABLES, type Table } from '../backend/iptables-tables.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { Family } from '../net/address.ts';
import type { Portal } from '../policy/portal.ts';
import type { BackendName } from '../policy/settings.ts';
import { forgetLastTransaction } from './last-transaction.ts';
import { type Moment, moment, secondsUntil } from './moment.ts';
import { type OpenedPortal, openedPortal, openedPortalJson } from './portal-record.ts';
import { fitting, flag, listOfFitting, made, object, oneOf, optional, type Parsed, parseState, whole } from './schema.ts';
import { stateText } from './state-file.ts';

export const LOCK_RECORD: string = `${PATHS.state}/lock.json`;
/** As one word whether it is locked. */
const PLAIN_FILE = `${PATHS.state}/lock.plain`;

/** A builtin chain of one family in one of our tables. */
export interface BuiltinChain {
  readonly family: Family;
  readonly table: Table;
  readonly chain: BuiltinName;
}

/** What a human said last, and what the machine was like before the first `lock`. */
export interface LockRecord {
  /** false after `unlock`: hooks then leave the kernel alone. */
  readonly locked: boolean;
  /** Seconds since 1970. */
  readonly since: number;
  readonly backend: BackendName;
  /** Whether iptables' second wall is part of it. */
  readonly wall: boolean;
  /** Whether iptables' rules for bridged frames are part of it; without it they are not. */
  readonly frames?: true;
  /** The builtin chains' policies before the first change, for `unlock`. */
  readonly before: readonly ChainPolicy[];
  /** The builtin chains that were not there before: `unlock` takes them away again. */
  readonly made: readonly BuiltinChain[];
  /** From then on the opposite of `locked` holds: a lock that was not confirmed, or an `unlock --for`. Without it `locked` lasts. */
  readonly until?: Moment;
  /** Until then this lock is on trial, what it keeps is in `PATHS.trial`; from then on the one before holds. Without it none is on trial. */
  readonly trial?: Moment;
  /** The portal that was opened last, unless it was closed. */
  readonly portal?: OpenedPortal;
}

const CHAIN = { family: oneOf('ipv4', 'ipv6'), chain: oneOf('INPUT', 'FORWARD', 'OUTPUT') } as const;

/** A builtin chain that iptables made for us. Records from before the second wall name no table. */
const MADE = made(
  object({
    family: oneOf('ipv4', 'ipv6'),
    table: optional(oneOf(...KNOWN_TABLES)),
    chain: oneOf('INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'),
  }),
  ({ family, table = 'filter', chain }): BuiltinChain | string =>
    BUILTINS[table].some((each) => each.chain === chain) ? { family, table, chain } : `no chain ${chain} is ours in ${table}`,
);

const RECORD = made(
  object({
    locked: flag,
    since: whole(0),
    backend: oneOf('iptables', 'nftables'),
    // Records from before the second wall have no wall and name no table.
    wall: optional(flag),
    frames: optional(flag),
    before: listOfFitting(object({ ...CHAIN, policy: oneOf('ACCEPT', 'DROP') })),
    // The script `recover` writes a record without them.
    made: optional(listOfFitting(MADE)),
    until: optional(moment),
    trial: optional(moment),
    // A portal that is damaged is none; the lock around it holds.
    portal: fitting(openedPortal),
  }),
  ({ locked, since, backend, wall = false, frames, before, made: chains = [], until, trial, portal }): LockRecord | string => {
    if (until !== undefined && trial !== undefined) return 'it holds for a time and is on trial, and can only be one of them';
    if (!locked && (trial !== undefined || portal !== undefined)) return 'it is open, and nothing open is on trial or has a portal';
    return {
      locked,
      since,
      backend,
      wall,
      before,
      made: chains,
      ...(frames === true && { frames: true as const }),
      ...(until && { until }),
      ...(trial && { trial }),
      ...(portal && { portal }),
    };
  },
);

/** A hook asks for the record several times, and mostly it still says the same. */
let readBefore: { readonly text: string; readonly read: Parsed<LockRecord> } | undefined;

function read(host: Host): Parsed<LockRecord> | undefined {
  const text = stateText(host, LOCK_RECORD);
  if (text === undefined || 'refused' in text) return text;
  if (readBefore?.text !== text.value) readBefore = { text: text.value, read: parseState(text.value, RECORD) };
  return readBefore.read;
}

/** The record as it was written; undefined when nobody has locked or unlocked this machine yet, or it is refused. */
export function readWrittenRecord(host: Host): LockRecord | undefined {
  const found = read(host);
  return found !== undefined && 'value' in found ? found.value : undefined;
}

/** Why the record is not believed: then nobody has decided about this machine, and the next `up` locks it. Undefined when it is, or there is none. */
export function refusedRecord(host: Host): string | undefined {
  const found = read(host);
  return found !== undefined && 'refused' in found ? found.refused : undefined;
}

/** The record as it holds now: a timed one whose moment is over says the opposite, and lasts; a trial whose moment is over is none. */
export function readLockRecord(host: Host): LockRecord | undefined {
  const written = readWrittenRecord(host);
  const isOver = (moment: Moment | undefined) => moment !== undefined && secondsUntil(host, moment) === 0;
  if (written === undefined || !(isOver(written.until) || isOver(written.trial))) return written;
  const { until, trial: _, locked, ...rest } = written;
  return isOver(until) ? { ...rest, locked: !locked } : { ...rest, locked };
}

/** The portal that is open now: its moment is still to come. */
export function openPortalOf(host: Host, record: LockRecord | undefined): Portal | undefined {
  const opened = record?.locked === true ? record.portal : undefined;
  return opened !== undefined && secondsUntil(host, opened.ends) > 0 ? opened.portal : undefined;
}

/** Whether a machine with this record boots locked: the boot is after any moment. */
export function bootsLocked(record: LockRecord | undefined): boolean {
  return record !== undefined && record.locked === (record.until === undefined);
}

/** Whether the script `boot` has a word to go by; without one it takes the machine for locked. */
export function hasPlainRecord(host: Host): boolean {
  return host.exists(PLAIN_FILE);
}

export function writePlainRecord(host: Host, locked: boolean): void {
  host.write(PLAIN_FILE, locked ? 'locked\n' : 'unlocked\n');
}

/**
 * Also writes what the scripts `recover` and `boot` must know as plain lines: they have no JSON parser. Whoever dies after it and before the rules are
 * loaded leaves no word of the rules of before.
 */
export function writeLockRecord(host: Host, record: LockRecord): void {
  forgetLastTransaction(host);
  const policies = record.before.map(({ family, chain, policy }) => `${family} ${chain} ${policy}\n`);
  const made = record.made.map(({ family, chain, table }) => `${family} ${chain} ${table}\n`);
  host.write(`${PATHS.state}/before.policies`, policies.join(''));
  host.write(`${PATHS.state}/before.made`, made.join(''));
  writePlainRecord(host, bootsLocked(record));
  const { portal, ...rest } = record;
  host.write(LOCK_RECORD, `${JSON.stringify({ version: 1, ...rest, ...(portal && { portal: openedPortalJson(portal) }) }, null, 1)}\n`);
}
