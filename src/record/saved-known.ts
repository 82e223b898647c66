import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { field, parseJson, texts } from '../machine/json.ts';
import { list, object, optional, text, whole } from '../machine/schema.ts';
import { endpointText, parseEndpoint } from '../net/endpoint.ts';
import { type NamedRemote, parseRemote, remoteText } from '../tunnel/named-remote.ts';
import { type Accounts, type KnownEndpoints, knownEndpoints } from './known-endpoints.ts';
import type { LockRecord } from './lock-record.ts';
import { type Pin, parsePins, pinsJson } from './pins.ts';
import { readState, stateOrNothing } from './state-file.ts';
import { type KeptFolder, keptPath, lastingPath } from './trial.ts';

export const KNOWN_FILE = 'endpoints.json';

/** Returns the path in the folder of this record's lock. */
function knownPath(files: Files, record: LockRecord | undefined): string {
  return keptPath(files, record, KNOWN_FILE);
}

/** The next number is the "no user" of user_namespaces(7). */
const MOST_UID = 2 ** 32 - 2;
const uid = whole(0, MOST_UID);
// Files of earlier versions hold no accounts of DHCP clients.
const UIDS = { uids: list(uid), dhcpUids: optional(list(uid)) } as const;
const ACCOUNTS = object(UIDS);
/** Names and pins that do not parse are skipped: without them less opens. */
const FACTS = object({
  ...UIDS,
  endpoints: list(text(parseEndpoint, 'an endpoint')),
  named: (json): readonly NamedRemote[] => texts(json, parseRemote) ?? [],
  pins: (json): readonly Pin[] => parsePins(json),
});

/**
 * Saves the gathered facts, so that a hook neither reads a thousand profiles nor resolves a name.
 */
export function saveKnown(
  files: Files,
  { literal, uids, dhcpUids, named, pins }: KnownEndpoints,
  folder: KeptFolder,
): void {
  const json = {
    version: 1,
    endpoints: literal.map(endpointText),
    uids,
    dhcpUids,
    named: named.map(remoteText),
    pins: pinsJson(pins),
  };
  files.write(`${folder}/${KNOWN_FILE}`, `${JSON.stringify(json, null, 1)}\n`);
}

/**
 * Reads the facts that the last `lock` or `refresh` gathered; undefined when there are none.
 * @throws KillswitchError FILES when the file is damaged.
 */
export function savedKnown(
  files: Files,
  record: LockRecord | undefined,
): KnownEndpoints | undefined {
  const path = knownPath(files, record);
  const read = readState(files, path, FACTS);
  if (read === undefined) return undefined;
  if ('refused' in read)
    throw new KillswitchError(
      'FILES',
      `${path} is not believed: ${read.refused}`,
      'Run "ovpn-killswitch lock", which writes it anew.',
    );
  const { endpoints, uids, dhcpUids = [], named, pins } = read.value;
  return knownEndpoints(endpoints, { uids, dhcpUids }, named, pins);
}

/** Reads the accounts of the last `lock` or `refresh`, without the endpoints. */
export function savedAccounts(files: Files, record: LockRecord | undefined): Accounts {
  const path = knownPath(files, record);
  const { uids, dhcpUids = [] } = stateOrNothing(files, path, ACCOUNTS) ?? { uids: [] };
  return { uids, dhcpUids };
}

/** Reads the pins of the last `lock` or `refresh`, without the endpoints. */
export function savedPins(files: Files, record: LockRecord | undefined): readonly Pin[] {
  return parsePins(field(parseJson(files.read(knownPath(files, record)) ?? ''), 'pins'));
}

/** Whether the last `lock` or `refresh` found a name to resolve. */
export function hasNames(files: Files, record: LockRecord | undefined): boolean {
  const named = field(parseJson(files.read(knownPath(files, record)) ?? ''), 'named');
  return Array.isArray(named) && named.length > 0;
}

/**
 * Reads the previous addresses, those of the lock in force first. A damaged file is rewritten, and
 * its readable entries still serve.
 */
export function previousPins(files: Files, record: LockRecord | undefined): readonly Pin[] {
  const pins = [lastingPath(KNOWN_FILE), knownPath(files, record)].flatMap((path) =>
    parsePins(field(parseJson(files.read(path) ?? ''), 'pins')),
  );
  return [...new Map(pins.map((pin) => [pin.name, pin])).values()];
}

/**
 * Returns the pins for the hosts file. On trial they include the previous lock's servers, with
 * which the machine would boot.
 */
export function hostPins(
  files: Files,
  record: LockRecord | undefined,
  { pins }: Pick<KnownEndpoints, 'pins'>,
): readonly Pin[] {
  const others = record?.term?.kind === 'trial' ? previousPins(files, record) : [];
  return [...new Map([...others, ...pins].map((pin) => [pin.name, pin])).values()];
}

/** Removes the facts kept for the lock that lasts. */
export function forgetKnown(files: Files): void {
  files.remove(lastingPath(KNOWN_FILE));
}
