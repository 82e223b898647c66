import type { Address } from '../net/address.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Network } from '../net/network.ts';

/**
 * A hole for a captive portal, IPv4 alone: it lets one user reach the web on a few networks by one
 * interface, and ask resolvers.
 */
export interface Portal {
  /** The user whose programs may reach the web there. */
  readonly uid: number;
  /** The interface that the packets leave by. */
  readonly uplink: InterfaceName;
  /** The networks that may be reached; the rules count each apart. */
  readonly networks: readonly Network[];
  /** The resolvers that may be asked for names. */
  readonly resolvers: readonly Address[];
  /** The accounts that may ask them. */
  readonly askers: readonly number[];
  /** Seconds since 1970. The kernel itself lets nothing through before `from` and after `until`. */
  readonly from: number;
  readonly until: number;
}

/** Describes, as a phrase, what a portal is open to. */
export function describePortal({ uid, uplink, networks, resolvers }: Portal): string {
  const list = (all: readonly { readonly text: string }[]) =>
    all.map(({ text }) => text.replace(/\/32$/, '')).join(', ');
  return `uid ${uid} reaches ${list(networks)} by ${uplink}, TCP 80 and 443; names of ${list(resolvers)}`;
}
