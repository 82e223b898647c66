import type { Json } from '../machine/json.ts';
import { object, oneOf, optional, type Schema, text } from '../machine/schema.ts';
import { parseAddress } from '../net/address.ts';
import { parseHostName } from '../net/host-name.ts';
import type { Resolver } from '../tunnel/resolvers.ts';

/** A resolver as JSON holds it: its address, or an object when there is more to say. */
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

/** What `resolverJson` gave. */
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
