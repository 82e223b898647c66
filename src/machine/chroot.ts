import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';

/** Our root folder and our network namespace, each below that of process 1 (proc(5)). */
const PATHS_COMPARED = ['/proc/1/root/', '/', '/proc/1/ns/net', '/proc/self/ns/net'];

interface Places {
  /** Whether process 1 has another root folder: the files here are not those of what runs. */
  readonly apart: boolean;
  /** Whether our network namespace is that of process 1. */
  readonly sameNetwork: boolean;
}

/** By device and inode; of a process 1 that cannot be looked at nothing is said. */
function readPlaces(host: Host): Places {
  const { status, stdout } = host.run({
    program: 'stat',
    args: ['-L', '-c', '%d:%i', ...PATHS_COMPARED],
  });
  const [root, ours, network, own] = status === 0 ? stdout.trim().split('\n') : [];
  return { apart: root !== ours, sameNetwork: network === own };
}

/**
 * Whether this is a chroot, or an image that is being made: what runs is another system. A
 * container is neither: its process 1 is in it.
 */
export function isApart(host: Host): boolean {
  return readPlaces(host).apart;
}

/**
 * Refuses to load rules in a chroot that shares the network of the system that runs: that would be
 * locked, and find nothing of its lock.
 * @throws KillswitchError CHROOT
 */
export function refuseChroot(host: Host): void {
  const { apart, sameNetwork } = readPlaces(host);
  if (!apart || !sameNetwork) return;
  throw new KillswitchError(
    'CHROOT',
    'this is a chroot: the rules would be those of the system that runs, and their record would stay in here',
    'Leave the chroot to lock that system. To prepare an image: "ovpn-killswitch boot enable", and "lock" once it has booted.',
  );
}
