import type { ChainPolicy } from '../backend/backend.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { BackendName } from '../policy/settings.ts';
import { field, type Json, parseJson } from './json.ts';

const FILE = `${PATHS.state}/lock.json`;

/** What a human said last, and what the machine was like before the first `lock`. */
export interface LockRecord {
  /** false after `unlock`: hooks then leave the kernel alone. */
  readonly locked: boolean;
  /** Seconds since 1970. */
  readonly since: number;
  readonly backend: BackendName;
  /** The builtin chains' policies before the first change, for `unlock`. */
  readonly before: readonly ChainPolicy[];
}

function parsePolicy(json: Json): readonly ChainPolicy[] {
  const [family, chain, policy] = ['family', 'chain', 'policy'].map((name) => field(json, name));
  const known =
    (family === 'ipv4' || family === 'ipv6') &&
    (chain === 'INPUT' || chain === 'FORWARD' || chain === 'OUTPUT') &&
    (policy === 'ACCEPT' || policy === 'DROP');
  return known ? [{ family, chain, policy }] : [];
}

/** The record; undefined when nobody has locked or unlocked this machine yet, or it cannot be read as one. */
export function readLockRecord(host: Host): LockRecord | undefined {
  const json = parseJson(host.read(FILE) ?? '');
  const [locked, since, backend, before] = ['locked', 'since', 'backend', 'before'].map((name) => field(json, name));
  if (typeof locked !== 'boolean' || typeof since !== 'number' || (backend !== 'iptables' && backend !== 'nftables')) return undefined;
  return { locked, since, backend, before: Array.isArray(before) ? before.flatMap((each: Json) => parsePolicy(each)) : [] };
}

/** Also writes the policies as plain lines, for the `recover` script, which has no JSON parser. */
export function writeLockRecord(host: Host, record: LockRecord): void {
  const lines = record.before.map(({ family, chain, policy }) => `${family} ${chain} ${policy}\n`);
  host.write(`${PATHS.state}/before.policies`, lines.join(''));
  host.write(FILE, `${JSON.stringify({ version: 1, ...record }, null, 1)}\n`);
}
