import type { Family } from '../net/address.ts';
import { type HostName, parseHostName } from '../net/host-name.ts';
import { type Port, parsePort, type Transport } from '../net/port.ts';
import { type Profile, remoteName } from './profile.ts';

/** A server that a profile names by host name. */
export interface NamedRemote {
  readonly name: HostName;
  readonly port: Port;
  readonly transport: Transport;
  /** The only family that OpenVPN uses for this server; both when it is missing. */
  readonly family?: Family;
}

/** Lists the profiles' servers that have a host name, each once. */
export function namedRemotes(profiles: readonly Profile[]): readonly NamedRemote[] {
  const all = profiles.flatMap(({ remotes }) =>
    remotes.flatMap((remote): readonly NamedRemote[] => {
      const named = remoteName(remote);
      const { transport, family } = remote;
      return named === undefined ? [] : [{ ...named, transport, ...(family && { family }) }];
    }),
  );
  return [...new Map(all.map((remote) => [remoteText(remote), remote])).values()];
}

/** Returns `vpn.example:1194/udp`, or `/udp4` and `/tcp6` where OpenVPN uses one family. */
export function remoteText({ name, port, transport, family }: NamedRemote): string {
  return `${name}:${port}/${transport}${family === undefined ? '' : family === 'ipv4' ? '4' : '6'}`;
}

/** Parses the text of `remoteText`. */
export function parseRemote(text: string): NamedRemote | undefined {
  const [, host = '', portText = '', transport, digit] =
    /^([^:]+):(\d+)\/(tcp|udp)([46]?)$/.exec(text) ?? [];
  const [name, port] = [parseHostName(host), parsePort(portText)];
  if (name === undefined || port === undefined) return undefined;
  const family = digit === '4' ? 'ipv4' : digit === '6' ? 'ipv6' : undefined;
  return { name, port, transport: transport === 'tcp' ? 'tcp' : 'udp', ...(family && { family }) };
}
