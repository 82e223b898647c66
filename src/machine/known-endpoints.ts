import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { distinctEndpoints, endpointText, parseEndpoint } from '../net/endpoint.ts';
import { printable } from '../net/printable.ts';
import type { Known } from '../policy/policy.ts';
import type { Settings } from '../policy/settings.ts';
import { literalEndpoints, type Profile, readProfile } from '../tunnel/profile.ts';
import { field, parseJson, texts } from './json.ts';

const FILE = `${PATHS.state}/endpoints.json`;

/** The paths a pattern stands for: `*` and `?` in its last part (glob(7)). */
function expand(host: Host, pattern: string): readonly string[] {
  const cut = pattern.lastIndexOf('/');
  const [folder, last] = [pattern.slice(0, cut), pattern.slice(cut + 1)];
  if (!/[*?]/.test(last)) return host.exists(pattern) ? [pattern] : [];
  const source = last
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  const shape = new RegExp(`^${source}$`);
  return host
    .list(folder)
    .filter((name) => shape.test(name) && !name.startsWith('.'))
    .map((name) => `${folder}/${name}`);
}

/** The user id of an account: a number as it is, a name from /etc/passwd. */
function uidOf(host: Host, account: string): number | undefined {
  if (/^\d{1,9}$/.test(account)) return Number(account);
  const line = (host.read(PATHS.passwd) ?? '').split('\n').find((each) => each.startsWith(`${account}:`));
  const uid = line?.split(':')[2];
  return uid !== undefined && /^\d+$/.test(uid) ? Number(uid) : undefined;
}

function uidsOf(host: Host, settings: Settings, profiles: readonly Profile[]): readonly number[] {
  const { endpointOwner } = settings;
  switch (endpointOwner.kind) {
    case 'any':
    case 'mark':
      return [];
    case 'root':
      return [0];
    case 'user': {
      const uid = uidOf(host, endpointOwner.name);
      if (uid === undefined)
        throw new KillswitchError(
          'SETTINGS',
          `${PATHS.settings}: KILLSWITCH_ENDPOINT_OWNER names the user ${endpointOwner.name}, who is not in ${PATHS.passwd}`,
          'Name an account of this machine, or its number: user:1001',
        );
      return [uid];
    }
    case 'auto': {
      const users = profiles.flatMap(({ user }) => (user === undefined ? [] : [user]));
      return [0, ...users.flatMap((user) => uidOf(host, user) ?? [])];
    }
    default:
      return endpointOwner satisfies never;
  }
}

/** Reads the profiles: the endpoints that are written in them as addresses, and the accounts they run as. */
export function gatherKnown(host: Host, settings: Settings): Known {
  const paths = [...new Set(settings.profiles.flatMap((pattern) => expand(host, pattern)))];
  const profiles = paths.map((path) => readProfile(host.read(path) ?? ''));
  return { endpoints: distinctEndpoints(profiles.flatMap(literalEndpoints)), uids: [...new Set(uidsOf(host, settings, profiles))] };
}

/** Keeps what was gathered, so that a hook need not read a thousand profiles. */
export function saveKnown(host: Host, { endpoints, uids }: Known): void {
  host.write(FILE, `${JSON.stringify({ version: 1, endpoints: endpoints.map(endpointText), uids }, null, 1)}\n`);
}

/**
 * What the last `lock` gathered; undefined when there was none.
 * @throws KillswitchError FILES when the file is damaged.
 */
export function savedKnown(host: Host): Known | undefined {
  const text = host.read(FILE);
  if (text === undefined) return undefined;
  const json = parseJson(text);
  const endpoints = texts(field(json, 'endpoints'), parseEndpoint);
  const uids = field(json, 'uids');
  if (endpoints === undefined || !Array.isArray(uids) || !uids.every((uid): uid is number => typeof uid === 'number'))
    throw new KillswitchError('FILES', `${FILE} is damaged: ${printable(text)}`, 'Run "ovpn-killswitch lock", which writes it anew.');
  return { endpoints, uids };
}

export function forgetKnown(host: Host): void {
  host.remove(FILE);
}
