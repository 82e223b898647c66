import type { Address } from '../net/address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import type { Port, Transport } from '../net/port.ts';
import type { Refusal, Tunnel } from './tunnel.ts';

export type HookName = 'up' | 'down' | 'route-up';

/** The process that owns the tunnel, as OpenVPN's `daemon_pid`. */
export type DaemonPid = number;

/**
 * The peer that OpenVPN really talks to. `transports` is empty when its environment does not tell
 * which one it uses.
 */
export interface Peer {
  readonly address: Address;
  readonly port: Port;
  readonly transports: readonly Transport[];
}

/** A call of a hook, as a value. */
export type HookEvent =
  | {
      readonly kind: 'tunnel-up';
      readonly tunnel: Omit<Tunnel, 'endpoints'>;
      readonly peer: Peer | undefined;
      readonly daemon: DaemonPid | undefined;
      /**
       * OpenVPN's first `--config`, as given: mostly relative to the folder that OpenVPN runs in.
       */
      readonly config?: string;
      readonly refused: readonly Refusal[];
      /**
       * OpenVPN has reconnected over a device that it never closed. The routes into it still exist,
       * and OpenVPN names none of them.
       */
      readonly kept: boolean;
    }
  /**
   * The connection broke; the device and the routes into it stay, while OpenVPN connects again
   * (persist-tun with up-restart).
   */
  | { readonly kind: 'tunnel-waiting'; readonly device: InterfaceName }
  /**
   * The tunnel is closed. `reconnects` unless OpenVPN said that it ends: then OpenVPN makes the
   * tunnel again.
   */
  | {
      readonly kind: 'tunnel-down';
      readonly device: InterfaceName;
      readonly reconnects: boolean;
      readonly daemon?: DaemonPid;
    }
  | { readonly kind: 'unreadable'; readonly why: string };

/**
 * Returns the endpoints of a peer; when OpenVPN told no transport, those already `known`, else
 * both.
 */
export function peerEndpoints(
  peer: Peer | undefined,
  known: readonly Endpoint[],
): readonly Endpoint[] {
  if (peer === undefined) return [];
  const { address, port, transports } = peer;
  if (transports.length > 0) return transports.map((transport) => ({ address, port, transport }));
  const same = known.filter(
    (endpoint) => endpoint.address.text === address.text && endpoint.port === port,
  );
  return same.length > 0
    ? same
    : [
        { address, port, transport: 'udp' },
        { address, port, transport: 'tcp' },
      ];
}
