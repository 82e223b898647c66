import { firstFile } from '../host/program-files.ts';
import { programPath } from '../host/program-path.ts';
import { sandboxObstacle } from '../host/sandbox.ts';
import type { BackendName } from '../policy/settings.ts';

/** Programs of the proof, each with its Debian package. */
const NEEDED: Readonly<Record<string, string>> = {
  openvpn: 'openvpn',
  tcpdump: 'tcpdump',
  ip: 'iproute2',
  openssl: 'openssl',
  ping: 'iputils-ping',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
};
const FILTERS: Readonly<Record<BackendName, string>> = {
  nftables: 'nft',
  iptables: 'iptables-restore',
};

/** Lists the backends that can be proven here: the installed ones. */
export function provableBackends(): readonly BackendName[] {
  return (['nftables', 'iptables'] as const).filter(
    (backend) => programPath(FILTERS[backend]) !== undefined,
  );
}

/**
 * Tells why nothing can be proven on this machine, and what to do about it; undefined when all
 * requirements are met.
 */
export function missingRequirements(): string | undefined {
  const missing = Object.entries(NEEDED).filter(([program]) => programPath(program) === undefined);
  const packages = [
    ...new Set(missing.map(([, name]) => name)),
    ...(provableBackends().length > 0 ? [] : ['nftables']),
  ];
  if (packages.length > 0)
    return `not installed: ${packages.join(', ')}. On Debian: sudo apt-get install ${packages.join(' ')}`;
  if (firstFile(['/dev/net/tun']) === undefined)
    return 'there is no /dev/net/tun. Load it: sudo modprobe tun; in a container: docker run --device /dev/net/tun --cap-add NET_ADMIN …';
  return sandboxObstacle();
}
