import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { procSockets } from '../machine/proc-address.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import { type Address, isUnicast, parseAddress } from '../net/address.ts';
import { nameservers } from './resolv-conf-text.ts';

/**
 * Files that name the servers behind a local resolver: systemd-resolved's, and NetworkManager's
 * where it runs dnsmasq.
 */
const BEHIND_LOCAL = [
  '/run/systemd/resolve/resolv.conf',
  '/run/NetworkManager/no-stub-resolv.conf',
];

/** The resolvers that the network has named, IPv4. */
export interface GivenResolvers {
  readonly addresses: readonly Address[];
  /**
   * The resolver on this machine that asks them for all programs, and its account if the kernel
   * shows it; undefined when programs ask them directly.
   */
  readonly local: { readonly address: Address; readonly uid: number | undefined } | undefined;
}

function namedIn(files: Files, path: string): readonly Address[] {
  return nameservers(readAnybodys(files, path)).flatMap((text) => parseAddress(text) ?? []);
}

export function readGivenResolvers(files: Files): GivenResolvers {
  const asked = namedIn(files, PATHS.resolvConf);
  const local = asked.find(({ text }) => text.startsWith('127.') || text === '::1');
  const behind = local === undefined ? asked : BEHIND_LOCAL.flatMap((path) => namedIn(files, path));
  const addresses = [...new Map(behind.map((address) => [address.text, address])).values()].filter(
    (address) => address.family === 'ipv4' && isUnicast(address),
  );
  if (local === undefined) return { addresses, local };
  const places = [local.text, '0.0.0.0', '::'].map((text) => `${text} 53`);
  const sockets = ['/proc/net/udp', '/proc/net/udp6'].flatMap((path) =>
    procSockets(files.read(path) ?? ''),
  );
  return {
    addresses,
    local: { address: local, uid: sockets.find(({ here }) => places.includes(here))?.uid },
  };
}
