import type { Address } from '../net/address.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Network } from '../net/network.ts';

/**
 * Why something still belongs to a tunnel that is not live.
 * - `reconnecting`: its OpenVPN is about to make it again.
 * - `ended`: its OpenVPN is gone; programs may still be bound to its address.
 * - `remembered`: the networks of the last connection of an attached profile.
 */
export const FORMER_KINDS = ['reconnecting', 'ended', 'remembered'] as const;
export type FormerKind = (typeof FORMER_KINDS)[number];

/**
 * A tunnel that is not live: nothing passes through it, and its networks and addresses stay shut
 * elsewhere.
 */
export interface FormerTunnel {
  readonly kind: FormerKind;
  /** Undefined for a remembered one: no rule needs its device. */
  readonly device: InterfaceName | undefined;
  /** Our own addresses inside; none for a remembered one. */
  readonly addresses: readonly Address[];
  /** Networks the server had routed into it; none for an ended one. */
  readonly networks: readonly Network[];
}
