import type { ChainPolicy } from '../backend/backend.ts';
import { BUILTINS, type BuiltinName, KNOWN_TABLES, type Table } from '../backend/iptables-tables.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { Family } from '../net/address.ts';
import type { Portal } from '../policy/portal.ts';
import type { BackendName } from '../policy/settings.ts';
import { field, type Json, parseJson } from './json.ts';
import { forgetLastTransaction } from './last-transaction.ts';
import { type Moment, parseMoment, secondsUntil } from './moment.ts';
import { type OpenedPortal, openedPortalJson, parseOpenedPortal } from './portal-record.ts';

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

function parseChain(json: Json): readonly Pick<ChainPolicy, 'family' | 'chain'>[] {
  const [family, chain] = ['family', 'chain'].map((name) => field(json, name));
  const known = (family === 'ipv4' || family === 'ipv6') && (chain === 'INPUT' || chain === 'FORWARD' || chain === 'OUTPUT');
  return known ? [{ family, chain }] : [];
}

function parsePolicy(json: Json): readonly ChainPolicy[] {
  const policy = field(json, 'policy');
  return policy === 'ACCEPT' || policy === 'DROP' ? parseChain(json).map((chain) => ({ ...chain, policy })) : [];
}

/** A record of before the second wall names no table. */
function parseMade(json: Json): readonly BuiltinChain[] {
  const [family, name] = ['family', 'chain'].map((key) => field(json, key));
  const table = KNOWN_TABLES.find((each) => each === field(json, 'table')) ?? 'filter';
  const chain = BUILTINS[table].find((each) => each.chain === name)?.chain;
  return (family === 'ipv4' || family === 'ipv6') && chain !== undefined ? [{ family, table, chain }] : [];
}

function list<Item>(json: Json | undefined, parse: (json: Json) => readonly Item[]): readonly Item[] {
  return Array.isArray(json) ? json.flatMap((each: Json) => parse(each)) : [];
}

/** A hook asks for the record several times, and mostly it still says the same. */
let readBefore: { readonly text: string; readonly record: LockRecord | undefined } | undefined;

/** The record as it was written; undefined when nobody has locked or unlocked this machine yet, or it cannot be read as one. */
export function readWrittenRecord(host: Host): LockRecord | undefined {
  const text = host.read(LOCK_RECORD) ?? '';
  if (readBefore?.text !== text) readBefore = { text, record: parseRecord(text) };
  return readBefore.record;
}

function parseRecord(text: string): LockRecord | undefined {
  const json = parseJson(text);
  const [locked, since, backend, before, made] = ['locked', 'since', 'backend', 'before', 'made'].map((name) => field(json, name));
  if (typeof locked !== 'boolean' || typeof since !== 'number' || (backend !== 'iptables' && backend !== 'nftables')) return undefined;
  const [until, trial] = ['until', 'trial'].map((name) => parseMoment(field(json, name)));
  const portal = parseOpenedPortal(field(json, 'portal'));
  return {
    locked,
    since,
    backend,
    wall: field(json, 'wall') === true,
    before: list(before, parsePolicy),
    made: list(made, parseMade),
    ...(until && { until }),
    ...(trial && { trial }),
    ...(portal && { portal }),
  };
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
