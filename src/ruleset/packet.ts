import type { Address } from '../net/address.ts';
import type { Hook } from './ruleset.ts';

/**
 * One packet at one netfilter hook, with every field that a rule can match. Interfaces are
 * undefined where the hook has none. At `postrouting`, `in` is the interface that a forwarded
 * packet came from, or the device whose driver made the packet (data channel offload). This
 * machine's own packets have none.
 */
export interface Packet {
  readonly hook: Hook;
  readonly in: string | undefined;
  readonly out: string | undefined;
  readonly from: Address;
  readonly to: Address;
  readonly payload:
    | { readonly transport: 'tcp' | 'udp'; readonly fromPort: number; readonly toPort: number }
    | { readonly icmp: number; readonly icmpCode?: number }
    | { readonly protocol: number };
  readonly conntrack: 'new' | 'established' | 'related';
  /** The account that opened the socket; undefined for packets without a socket of this machine. */
  readonly uid: number | undefined;
  readonly mark: number;
  /** Bytes after the IP header; by default as few as a rule may require. */
  readonly bytes?: number;
  /**
   * Whether it is a frame between two ports of one bridge: this machine neither routes nor sends
   * it. IP hooks see it where br_netfilter hands it over (net.bridge.bridge-nf-call-iptables).
   */
  readonly bridged?: boolean;
  /**
   * Whether it answers a question to many. It comes to the address and port that the question left
   * from, by that interface, at most some seconds later.
   */
  readonly asked?: boolean;
  /** Seconds since 1970; by default a moment at which the policy holds. */
  readonly at?: number;
}
