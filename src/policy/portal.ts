import type { Address } from '../net/address.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Network } from '../net/network.ts';

/**
 * A hole for a captive portal, IPv4 alone: one user's web to a few networks by one interface, and
 * names.
 */
export interface Portal {
  /** Whose programs may reach the web there. */
  readonly uid: number;
  /** Where the packets leave. */
  readonly uplink: InterfaceName;
  /** What may be reached: each is counted apart. */
  readonly networks: readonly Network[];
  /** Who may be asked for names. */
  readonly resolvers: readonly Address[];
  /** Accounts that may ask them. */
  readonly askers: readonly number[];
  /** Seconds since 1970: before and after them the kernel itself lets nothing through. */
  readonly from: number;
  readonly until: number;
}

/** Where a portal is open to, as a phrase. */
export function describePortal({ uid, uplink, networks, resolvers }: Portal): string {
  const list = (all: readonly { readonly text: string }[]) =>
    all.map(({ text }) => text.replace(/\/32$/, '')).join(', ');
  return `uid ${uid} reaches ${list(networks)} by ${uplink}, TCP 80 and 443; names of ${list(resolvers)}`;
}
