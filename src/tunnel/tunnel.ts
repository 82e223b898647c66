import type { Address } from '../net/address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { HostName } from '../net/host-name.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Network } from '../net/network.ts';
import type { Resolver } from './resolvers.ts';

/** The facts about one VPN connection. */
export interface Tunnel {
  /** The tunnel's interface. */
  readonly device: InterfaceName;
  /**
   * Where its encrypted packets go now. Several when OpenVPN does not say which transport it uses;
   * none when it does not say the peer.
   */
  readonly endpoints: readonly Endpoint[];
  /** This machine's addresses inside the tunnel. */
  readonly addresses: readonly Address[];
  /** The DNS servers that the server pushed, in order of preference. */
  readonly resolvers: readonly Resolver[];
  /** Domains in which short names are looked up; none when it is missing. */
  readonly searchDomains?: readonly HostName[];
  /** Networks that the server routed into it, without routes that stand for the default route. */
  readonly networks: readonly Network[];
  /**
   * Whether the kernel itself makes the encrypted packets (data channel offload). They then carry
   * the account of the program whose packet they hold, or none.
   */
  readonly offloaded?: boolean;
}

/** Tells a person that the kernel makes a tunnel's packets. */
export function offloadText({ device }: Pick<Tunnel, 'device'>): string {
  return `${device}: data channel offload is in use: the kernel sends the VPN's packets, and the rules know them by the device`;
}

/** A value from outside that was left out, for the log. `value` is escaped. */
export interface Refusal {
  readonly variable: string;
  readonly value: string;
  readonly why: string;
}

/** Leaves a value of a variable out, and says why. */
export type Refuse = (variable: string, value: string, why: string) => undefined;
