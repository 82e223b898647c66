import { PATHS } from '../host/paths.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import { LOCK_RECORD } from './lock-record.ts';
import { KNOWN_FILE } from './saved-known.ts';
import { TRAFFIC } from './traffic.ts';

/** Files that hold what was seen, done or measured, and no decision. */
const NOTES: readonly string[] = [
  PATHS.last,
  PATHS.told,
  PATHS.lock,
  PATHS.watch,
  PATHS.refreshLock,
  PATHS.log,
  TRAFFIC,
];
/** Derived from the program beside it; made anew they differ (Node's code cache). */
const CACHE = /\.cache$/;

/**
 * Files with times that are renewed without any other change: an answer to DNS renews `seen`, a
 * connection `used`, the script `recover` `since`.
 */
const TIMED: readonly string[] = [
  LOCK_RECORD,
  ...[PATHS.state, PATHS.trial].map((at) => `${at}/${KNOWN_FILE}`),
];
const TIMES: readonly string[] = ['seen', 'used', 'since'];

function withoutTimes(json: Json): Json {
  if (typeof json !== 'object' || json === null) return json;
  if (Array.isArray(json)) return json.map((each: Json) => withoutTimes(each));
  return Object.fromEntries(
    Object.keys(json)
      .filter((key) => !TIMES.includes(key))
      .map((key) => [key, withoutTimes(field(json, key) ?? null)]),
  );
}

/**
 * Returns the part of a file whose change counts as one for `--json`; undefined where the file is
 * a note, a log or a cache.
 */
export function countedPart(path: string, bytes: Uint8Array): Uint8Array | undefined {
  if (NOTES.includes(path)) return undefined;
  if (path.startsWith(`${PATHS.library}/`) && CACHE.test(path)) return undefined;
  if (!TIMED.includes(path)) return bytes;
  const json = parseJson(Buffer.from(bytes).toString());
  return json === undefined ? bytes : Buffer.from(JSON.stringify(withoutTimes(json)));
}
