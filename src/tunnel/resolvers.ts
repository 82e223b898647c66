import type { Address } from '../net/address.ts';
import type { HostName } from '../net/host-name.ts';

/** Whether answers must be signed: always, when the resolver can, or never. */
export type Dnssec = 'yes' | 'optional' | 'no';

/**
 * A DNS server, and how to ask it where the server that pushed it said so: in plain when
 * `transport` is missing.
 */
export type Resolver = Address & {
  /** DNS over TLS (RFC 7858). */
  readonly transport?: 'tls';
  readonly dnssec?: Dnssec;
  /** The name in the server's certificate. */
  readonly serverName?: HostName;
};

/** The resolvers that answer names through a tunnel. */
export interface Resolvers {
  /** In order of preference. */
  readonly resolvers: readonly Resolver[];
  /** Domains in which short names are looked up. */
  readonly searchDomains: readonly HostName[];
}
