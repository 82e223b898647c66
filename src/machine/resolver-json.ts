import { parseAddress } from '../net/address.ts';
import { parseHostName } from '../net/host-name.ts';
import type { Resolver } from '../tunnel/resolvers.ts';
import { field, type Json } from './json.ts';

/** A resolver as JSON holds it: its address, or an object when there is more to say. */
export function resolverJson({ text, transport, dnssec, serverName }: Resolver): Json {
  if (transport === undefined && dnssec === undefined && serverName === undefined) return text;
  return { address: text, ...(transport && { transport }), ...(dnssec && { dnssec }), ...(serverName && { serverName }) };
}

/** What `resolverJson` gave; undefined for anything else. */
export function parseResolver(json: Json): Resolver | undefined {
  const [text, transport, dnssec, name] =
    typeof json === 'string' ? [json] : ['address', 'transport', 'dnssec', 'serverName'].map((each) => field(json, each));
  const address = typeof text === 'string' ? parseAddress(text) : undefined;
  const serverName = typeof name === 'string' ? parseHostName(name) : undefined;
  if (address === undefined || (name !== undefined && serverName === undefined)) return undefined;
  if (transport !== undefined && transport !== 'tls') return undefined;
  if (dnssec !== undefined && dnssec !== 'yes' && dnssec !== 'optional' && dnssec !== 'no') return undefined;
  return { ...address, ...(transport && { transport }), ...(dnssec && { dnssec }), ...(serverName && { serverName }) };
}
