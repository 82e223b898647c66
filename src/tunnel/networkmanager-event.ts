import type { Branded } from '../net/brand.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Refusal, Tunnel } from './tunnel.ts';

/** NetworkManager's identifier of a connection, whatever its name and its device are. */
export type ConnectionUuid = Branded<string, 'ConnectionUuid'>;

/**
 * Accepts RFC 9562 in either case and returns it in lower case; also the longer form without
 * hyphens that old versions made.
 */
export function parseConnectionUuid(text: string): ConnectionUuid | undefined {
  return /^[0-9a-f-]{32,40}$/i.test(text) ? (text.toLowerCase() as ConnectionUuid) : undefined;
}

/** A VPN that comes up. */
interface VpnUp {
  readonly connection: ConnectionUuid;
  /** The connection's keyfile; undefined where NetworkManager does not name it. */
  readonly file: string | undefined;
  /** True for `vpn-up`, which repeats `vpn-pre-up`. */
  readonly again: boolean;
}

/** A call of NetworkManager's dispatcher, as a value. */
export type NetworkManagerEvent =
  /**
   * A VPN's device is there, with its addresses: `vpn-pre-up`, for which NetworkManager waits, and
   * `vpn-up`.
   */
  | (VpnUp & {
      readonly kind: 'vpn-up';
      readonly tunnel: Omit<Tunnel, 'endpoints'>;
      readonly refused: readonly Refusal[];
    })
  /** A VPN without a device that a rule could match: some kinds have none. */
  | (VpnUp & { readonly kind: 'vpn-without-device'; readonly why: string })
  /** It ends: `vpn-pre-down`, `vpn-down`. NetworkManager does not name its device reliably. */
  | { readonly kind: 'vpn-down'; readonly connection: ConnectionUuid }
  /**
   * A device that NetworkManager did not make has its addresses: also a VPN's that reconnects by
   * itself.
   */
  | {
      readonly kind: 'device-up';
      readonly tunnel: Omit<Tunnel, 'endpoints'>;
      readonly refused: readonly Refusal[];
    }
  | { readonly kind: 'device-down'; readonly device: InterfaceName }
  /** Nothing about a tunnel. One may be gone all the same. */
  | { readonly kind: 'other' }
  | { readonly kind: 'unreadable'; readonly why: string };
