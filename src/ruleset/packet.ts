import type { Address } from '../net/address.ts';
import type { Hook } from './ruleset.ts';

/**
 * One packet at one netfilter hook, with what a rule can ask of it. Interfaces are undefined where
 * the hook has none. At `postrouting`, `in` is where a forwarded packet came from, or the device
 * whose driver made the packet (data channel offload); this machine's own packets have none.
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
  /** Who opened the socket; undefined for packets of no socket of ours. */
  readonly uid: number | undefined;
  readonly mark: number;
  /** Bytes behind the IP header; without it as few as a rule may ask for. */
  readonly bytes?: number;
  /**
   * Whether it is a frame between two ports of one bridge: this machine neither routes nor sends
   * it, and IP hooks see it where br_netfilter hands it over (net.bridge.bridge-nf-call-iptables).
   */
  readonly bridged?: boolean;
  /**
   * Whether it comes to where a question to many left from, by that interface, some seconds ago at
   * most.
   */
  readonly asked?: boolean;
  /** Seconds since 1970; without it some moment at which the policy holds. */
  readonly at?: number;
}
