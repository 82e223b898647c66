import type { Json } from '../machine/json.ts';
import { object, oneOf, optional, type Schema, text } from '../machine/schema.ts';
import { parseAddress } from '../net/address.ts';
import { parseHostName } from '../net/host-name.ts';
import type { Resolver } from '../tunnel/resolvers.ts';

/** Returns a resolver as JSON: its address, or an object when it has more fields. */
export function resolverJson({ text, transport, dnssec, serverName }: Resolver): Json {
  if (transport === undefined && dnssec === undefined && serverName === undefined) return text;
  return {
    address: text,
    ...(transport && { transport }),
    ...(dnssec && { dnssec }),
    ...(serverName && { serverName }),
  };
}

const address = text(parseAddress, 'an address');
const detailed = object({
  address,
  transport: optional(oneOf('tls')),
  dnssec: optional(oneOf('yes', 'optional', 'no')),
  serverName: optional(text(parseHostName, 'a name')),
});

/** Parses the JSON of `resolverJson`. */
export const resolver: Schema<Resolver> = (json, at) => {
  if (typeof json === 'string') return address(json, at);
  const { address: own, transport, dnssec, serverName } = detailed(json, at);
  return {
    ...own,
    ...(transport && { transport }),
    ...(dnssec && { dnssec }),
    ...(serverName && { serverName }),
  };
};
