import type { Image } from '../backend/image.ts';
import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import { RULE_IDS, type RuleId } from '../ruleset/ruleset.ts';

/** Dropped packets by the rule that dropped them. */
export type DropCounts = Readonly<Partial<Record<RuleId, number>>>;

/** The recent drops. */
export interface Drops {
  /**
   * How many seconds back `packets` counts from; undefined without an earlier reading: then since
   * the rules were loaded.
   */
  readonly seconds: number | undefined;
  readonly packets: DropCounts;
  /** Since the rules were loaded. */
  readonly sinceLoad: DropCounts;
}

interface Sample {
  /** Seconds since 1970. */
  readonly at: number;
  readonly packets: DropCounts;
}

const FILE = `${PATHS.runtime}/drops`;
const MINUTE = 60;
/** Readings older than this say nothing about the last minute. */
const LONGEST = 2 * MINUTE;
/** Readings closer together than this are not kept. */
const SHORTEST = 5;

/** The ends of rules that refuse a packet, as iptables-save and nft list them. */
const REFUSES = /(-j (DROP|REJECT)\b|(^| )(drop$|reject with ))/;

/** Counts the packets that the rules of an image have dropped since they were loaded. */
export function dropCounts(image: Image): DropCounts {
  const counts: Partial<Record<RuleId, number>> = {};
  for (const { rules } of image)
    for (const { id, text, packets = 0 } of rules)
      if (id !== undefined && packets > 0 && REFUSES.test(text))
        counts[id] = (counts[id] ?? 0) + packets;
  return counts;
}

function parseCounts(json: Json | undefined): DropCounts {
  return Object.fromEntries(
    RULE_IDS.flatMap((id) => {
      const count = field(json, id);
      return typeof count === 'number' ? [[id, count]] : [];
    }),
  );
}

/**
 * Keeps readings for the next call. A full or read-only /run keeps none, and the answer stays
 * complete.
 */
function keepSamples(files: Files, samples: readonly Sample[]): void {
  try {
    files.write(FILE, `${JSON.stringify(samples)}\n`, 0o600);
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
  }
}

/** Returns the text of the earlier readings; none where another user may have written it. */
function sampleText(files: Files): string {
  try {
    return files.read(FILE) ?? '';
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return '';
    throw thrown;
  }
}

function readSamples(files: Files): readonly Sample[] {
  const json = parseJson(sampleText(files));
  if (!Array.isArray(json)) return [];
  return json.flatMap((each: Json) => {
    const at = field(each, 'at');
    return typeof at === 'number' ? [{ at, packets: parseCounts(field(each, 'packets')) }] : [];
  });
}

/**
 * Counts the packets between two readings. A reloaded rule counts from zero: then its whole count
 * came after the earlier reading.
 */
function grown(before: DropCounts, after: DropCounts): DropCounts {
  return Object.fromEntries(
    RULE_IDS.flatMap((id) => {
      const [was, is] = [before[id] ?? 0, after[id] ?? 0];
      const count = is >= was ? is - was : is;
      return count === 0 ? [] : [[id, count]];
    }),
  );
}

/**
 * Reads the packets dropped in the last minute, from the kept reading nearest to a minute ago.
 * Keeps a reading for the next call, where that can be written.
 */
export function readDrops(host: Host, image: Image): Drops {
  const now = host.now();
  const sinceLoad = dropCounts(image);
  const samples = readSamples(host).filter(({ at }) => at <= now && now - at <= LONGEST);
  const distance = ({ at }: Sample) => Math.abs(now - at - MINUTE);
  const [earlier] = [...samples]
    .filter(({ at }) => at < now)
    .sort((a, b) => distance(a) - distance(b));
  if (host.mayChangeRules() && samples.every(({ at }) => now - at >= SHORTEST))
    keepSamples(host, [...samples, { at: now, packets: sinceLoad }]);
  return {
    seconds: earlier && now - earlier.at,
    packets: earlier === undefined ? sinceLoad : grown(earlier.packets, sinceLoad),
    sinceLoad,
  };
}
