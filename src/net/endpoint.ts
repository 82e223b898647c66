import { type Address, isUnicast, parseAddress } from './address.ts';
import { type Port, parsePort, type Transport } from './port.ts';

/** Where encrypted packets go: an address, a port and a transport. */
export interface Endpoint {
  readonly address: Address;
  readonly port: Port;
  readonly transport: Transport;
}

/** Parses `203.0.113.10:1194/udp` or `[2001:db8::1]:443/tcp`. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, bracketed, bare, portText = '', transport] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d+)\/(tcp|udp)$/.exec(text) ?? [];
  const address = parseAddress(bracketed ?? bare ?? '');
  const port = parsePort(portText);
  if (address === undefined || port === undefined || !isUnicast(address)) return undefined;
  if ((address.family === 'ipv6') !== (bracketed !== undefined)) return undefined;
  return { address, port, transport: transport === 'tcp' ? 'tcp' : 'udp' };
}

/** Writes the text that `parseEndpoint` reads. */
export function endpointText({ address, port, transport }: Endpoint): string {
  return address.family === 'ipv6'
    ? `[${address.text}]:${port}/${transport}`
    : `${address.text}:${port}/${transport}`;
}

/** Returns each endpoint once, in a stable order. */
export function distinctEndpoints(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const byText = new Map(endpoints.map((endpoint) => [endpointText(endpoint), endpoint]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}
