import type { Files } from '../host/files.ts';
import { type ProcSocket, procSockets } from './proc-address.ts';

/** TCP_ESTABLISHED and TCP_LISTEN (net/tcp_states.h). */
const [ESTABLISHED, LISTEN] = ['01', '0A'];
/**
 * Programs that serve SSH, by their comm (proc(5)): OpenSSH before 9.8 and since, and dropbear(8).
 */
export const SSH_SERVERS: readonly string[] = ['sshd', 'sshd-session', 'dropbear'];

export function tcpSockets(files: Files): readonly ProcSocket[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => procSockets(files.read(path) ?? ''));
}

/** Returns the port of this machine's end. */
export function portOf({ here }: ProcSocket): number {
  return Number(here.split(' ')[1]);
}

/** Returns the sockets at which root listens. */
export function rootsListeners(all: readonly ProcSocket[]): readonly ProcSocket[] {
  return all.filter(({ state, uid }) => state === LISTEN && uid === 0);
}

/** Returns the open connections that root has accepted, by `sessionText`. */
export function openConnections(all: readonly ProcSocket[]): ReadonlyMap<string, ProcSocket> {
  const open = all.filter(({ state, uid }) => state === ESTABLISHED && uid === 0);
  return new Map(open.map((socket) => [`${socket.there} ${socket.here}`, socket]));
}
