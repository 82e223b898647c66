import { type BootTime, bootTime } from '../machine/boot-time.ts';
import type { Json } from '../machine/json.ts';
import { list, made, object, type Schema, text, whole } from '../machine/schema.ts';
import { parseAddress } from '../net/address.ts';
import { parseInterfaceName } from '../net/interface-name.ts';
import { parseNetwork } from '../net/network.ts';
import type { Portal } from '../policy/portal.ts';

/** An opened portal, and its expiry. */
export interface OpenedPortal {
  readonly portal: Portal;
  readonly ends: BootTime;
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

/** The greatest user id. The next number is the "no user" of user_namespaces(7). */
const MOST_UID = 2 ** 32 - 2;
const uid = whole(0, MOST_UID);

export const openedPortal: Schema<OpenedPortal> = made(
  object({
    uid,
    uplink: text(parseInterfaceName, 'the name of an interface'),
    networks: list(text(parseNetwork, 'a network')),
    resolvers: list(text(parseAddress, 'an address')),
    askers: list(uid),
    from: whole(0),
    until: whole(0),
    ends: bootTime,
  }),
  ({ ends, ...portal }) => ({ portal, ends }),
);
