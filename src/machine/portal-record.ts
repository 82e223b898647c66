import { parseAddress } from '../net/address.ts';
import { parseInterfaceName } from '../net/interface-name.ts';
import { parseNetwork } from '../net/network.ts';
import type { Portal } from '../policy/portal.ts';
import { field, items, type Json, texts } from './json.ts';
import { type Moment, parseMoment } from './moment.ts';

/** A portal that was opened, and the moment from which nobody counts it any more. */
export interface OpenedPortal {
  readonly portal: Portal;
  readonly ends: Moment;
}

export function openedPortalJson({ portal, ends }: OpenedPortal): Json {
  const textOf = ({ text }: { readonly text: string }) => text;
  return {
    ...portal,
    networks: portal.networks.map(textOf),
    resolvers: portal.resolvers.map(textOf),
    ends: { ...ends },
  };
}

/** Undefined when it cannot be read as one: then there is none. */
export function parseOpenedPortal(json: Json | undefined): OpenedPortal | undefined {
  const number = (value: Json | undefined) => (typeof value === 'number' ? value : undefined);
  const name = field(json, 'uplink');
  const uplink = parseInterfaceName(typeof name === 'string' ? name : '');
  const networks = texts(field(json, 'networks'), parseNetwork);
  const resolvers = texts(field(json, 'resolvers'), parseAddress);
  const askers = items(field(json, 'askers'), number);
  const [uid, from, until] = ['uid', 'from', 'until'].map((key) => number(field(json, key)));
  const ends = parseMoment(field(json, 'ends'));
  if (!uplink || !networks || !resolvers || !askers || uid === undefined || from === undefined || until === undefined || !ends)
    return undefined;
  return { portal: { uid, uplink, networks, resolvers, askers, from, until }, ends };
}
