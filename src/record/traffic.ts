import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import type { LiveTunnel } from './live-tunnels.ts';

/**
 * What goes through a tunnel. `flowing`: packets came in since the last look. `quiet`: none did,
 * and hardly any left. `silent`: many left, and none came in for long. `unknown`: its device is not
 * counted here.
 */
export interface Traffic {
  readonly state: 'flowing' | 'quiet' | 'silent' | 'unknown';
  /** How many seconds back that counts from. */
  readonly seconds: number;
}

/** A device's counters, and when they were looked at. Times are seconds since 1970. */
interface Reading {
  /** Of which tunnel: when it was reported. */
  readonly since: number;
  readonly received: number;
  /** What had left when the last packet came in. */
  readonly sent: number;
  /** When `received` was last seen to grow. */
  readonly grew: number;
  readonly at: number;
}

const FILE = `${PATHS.runtime}/traffic`;
/**
 * A server that answers nothing for so many seconds. OpenVPN's own pings do not reach the device.
 */
const LONG = 30;
/** Packets that may leave without an answer: what a machine says by itself on a new link. */
const UNANSWERED = 10;

/** Packets received and sent by device (proc(5), /proc/net/dev). */
function countersOf(
  host: Host,
): ReadonlyMap<string, { readonly received: number; readonly sent: number }> {
  const lines = (host.read(PATHS.devices) ?? '').split('\n').flatMap((line) => {
    const [, device, counts = ''] = /^\s*([^:\s]+):(.*)$/.exec(line) ?? [];
    const numbers = counts.trim().split(/\s+/).map(Number);
    return device === undefined
      ? []
      : [[device, { received: numbers[1] ?? 0, sent: numbers[9] ?? 0 }] as const];
  });
  return new Map(lines);
}

function parseReading(json: Json | undefined): Reading | undefined {
  const [since, received, sent, grew, at] = ['since', 'received', 'sent', 'grew', 'at'].map(
    (name) => Number(field(json, name) ?? Number.NaN),
  );
  if (
    since === undefined ||
    received === undefined ||
    sent === undefined ||
    grew === undefined ||
    at === undefined
  )
    return undefined;
  return [since, received, sent, grew, at].every(Number.isFinite)
    ? { since, received, sent, grew, at }
    : undefined;
}

/** What an earlier look left. A file that others may have written, or that is damaged, is none. */
function earlier(host: Host): Json | undefined {
  try {
    return parseJson(host.read(FILE) ?? '');
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return undefined;
    throw thrown;
  }
}

function keep(host: Host, readings: Readonly<Record<string, Reading>>): void {
  try {
    host.write(FILE, `${JSON.stringify(readings)}\n`, 0o600);
  } catch (thrown) {
    // A full or read-only /run takes nothing from the answer.
    if (!(thrown instanceof KillswitchError)) throw thrown;
  }
}

function judge(
  last: Reading,
  { received, sent }: Pick<Reading, 'received' | 'sent'>,
  now: number,
): Traffic {
  if (received > last.received) return { state: 'flowing', seconds: now - last.at };
  const seconds = now - last.grew;
  if (sent - last.sent >= UNANSWERED && seconds >= LONG) return { state: 'silent', seconds };
  return { state: received > 0 && seconds < LONG ? 'flowing' : 'quiet', seconds };
}

/**
 * What goes through each live tunnel, by its device, from the kernel's counters and those of the
 * last look, of which it leaves the new ones. Without an earlier look it counts from when the
 * tunnel was reported.
 */
export function readTraffic(host: Host, live: readonly LiveTunnel[]): ReadonlyMap<string, Traffic> {
  if (live.length === 0) return new Map();
  const now = host.now();
  const before = earlier(host);
  const counters = countersOf(host);
  const readings: Record<string, Reading> = {};
  const traffic = live.map(({ tunnel: { device }, since }) => {
    const counts = counters.get(device);
    if (counts === undefined) return [device, { state: 'unknown', seconds: 0 }] as const;
    const known = parseReading(field(before, device));
    const isSame = known?.since === since && known.received <= counts.received && known.at <= now;
    const last = isSame ? known : { since, received: 0, sent: 0, grew: since, at: since };
    const grows = counts.received > last.received;
    readings[device] = grows ? { since, ...counts, grew: now, at: now } : { ...last, at: now };
    return [device, judge(last, counts, now)] as const;
  });
  if (host.mayChangeRules()) keep(host, readings);
  return new Map<string, Traffic>(traffic);
}
