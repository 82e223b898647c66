import type { Branded } from './brand.ts';

export type Transport = 'tcp' | 'udp';
export const TRANSPORTS: readonly Transport[] = ['tcp', 'udp'];

/** A TCP or UDP port, 1 to 65535. */
export type Port = Branded<number, 'Port'>;

export function parsePort(text: string): Port | undefined {
  if (!/^[1-9]\d{0,4}$/.test(text) || Number(text) > 65535) return undefined;
  return Number(text) as Port;
}

/** `first` to `last`, both included; one port when they are equal. */
export interface PortRange {
  readonly first: Port;
  readonly last: Port;
}

/** Ports of one transport, as settings name them. */
export interface Service {
  readonly ports: PortRange;
  readonly transport: Transport;
}

/** Parses `443/tcp` or `6881-6889/udp`. */
export function parseService(text: string): Service | undefined {
  const [, first = '', last = first, transport] = /^(\d+)(?:-(\d+))?\/(tcp|udp)$/.exec(text) ?? [];
  const range = { first: parsePort(first), last: parsePort(last) };
  if (range.first === undefined || range.last === undefined || range.first > range.last)
    return undefined;
  return {
    ports: { first: range.first, last: range.last },
    transport: transport === 'tcp' ? 'tcp' : 'udp',
  };
}

/** Returns one port as a range. */
export function onlyPort(port: Port): PortRange {
  return { first: port, last: port };
}
