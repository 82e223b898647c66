import { KillswitchError } from '../errors.ts';
import type { Processes } from '../host/processes.ts';

/** Our root folder and our network namespace, each below that of process 1 (proc(5)). */
const PATHS_COMPARED = ['/proc/1/root/', '/', '/proc/1/ns/net', '/proc/self/ns/net'];

interface Places {
  /** Whether process 1 has another root folder: these files are then not the running system's. */
  readonly apart: boolean;
  /** Whether our network namespace is that of process 1. */
  readonly sameNetwork: boolean;
}

/** Compares by device and inode. Claims nothing about a process 1 that cannot be read. */
function readPlaces(processes: Processes): Places {
  const { status, stdout } = processes.run({
    program: 'stat',
    args: ['-L', '-c', '%d:%i', ...PATHS_COMPARED],
  });
  const [root, ours, network, own] = status === 0 ? stdout.trim().split('\n') : [];
  return { apart: root !== ours, sameNetwork: network === own };
}

/**
 * Whether this is a chroot or an image under construction, and another system runs. A container is
 * neither: its process 1 is inside it.
 */
export function isApart(processes: Processes): boolean {
  return readPlaces(processes).apart;
}

/**
 * Refuses to load rules in a chroot that shares the running system's network: they would lock that
 * system, which could not find its lock.
 * @throws KillswitchError CHROOT
 */
export function refuseChroot(processes: Processes): void {
  const { apart, sameNetwork } = readPlaces(processes);
  if (!apart || !sameNetwork) return;
  throw new KillswitchError(
    'CHROOT',
    'this is a chroot: the rules would go to the running system, and their record would stay in the chroot',
    'Leave the chroot to lock the running system. In an image, run "ovpn-killswitch boot enable", and "lock" once it has booted.',
  );
}
