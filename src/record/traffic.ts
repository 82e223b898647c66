import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import type { LiveTunnel } from './live-tunnels.ts';

/**
 * A tunnel's traffic. `flowing`: packets came in since the last look. `quiet`: none came in, and
 * hardly any left. `silent`: many left, and none came in for long. `unknown`: its device is not
 * counted here.
 */
export interface Traffic {
  readonly state: 'flowing' | 'quiet' | 'silent' | 'unknown';
  /** The period of that state, in seconds back from now. */
  readonly seconds: number;
}

/** A device's counters, and the time of the look. Times are seconds since 1970. */
interface Reading {
  /** The report time of the counted tunnel. */
  readonly since: number;
  readonly received: number;
  /** The sent packets when the last packet came in. */
  readonly sent: number;
  /** When `received` was last seen to grow. */
  readonly grew: number;
  readonly at: number;
}

export const TRAFFIC = `${PATHS.runtime}/traffic`;
/**
 * Seconds without an answer after which a server counts as silent. OpenVPN's own pings do not reach
 * the device.
 */
const LONG = 30;
/** Packets that may leave without an answer: a machine sends a few by itself on a new link. */
const UNANSWERED = 10;

/** Returns packets received and sent by device (proc(5), /proc/net/dev). */
function countersOf(
  files: Files,
): ReadonlyMap<string, { readonly received: number; readonly sent: number }> {
  const lines = (files.read(PATHS.devices) ?? '').split('\n').flatMap((line) => {
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

/** Reads the previous look's file; undefined when others may have written it, or it is damaged. */
function earlier(files: Files): Json | undefined {
  try {
    return parseJson(files.read(TRAFFIC) ?? '');
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return undefined;
    throw thrown;
  }
}

function keep(files: Files, readings: Readonly<Record<string, Reading>>): void {
  try {
    files.write(TRAFFIC, `${JSON.stringify(readings)}\n`, 0o600);
  } catch (thrown) {
    // The answer does not need the file: /run may be full or read-only.
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
 * Returns each live tunnel's traffic by device. Compares the kernel's counters with those of the
 * last look, and saves the new ones. Without an earlier look it counts from the tunnel's report.
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
