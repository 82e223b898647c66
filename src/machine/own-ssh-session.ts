import type { Files } from '../host/files.ts';
import { parseSession, type Session, sessionText } from '../net/session.ts';
import type { ProcSocket } from './proc-address.ts';
import { processText } from './process-text.ts';
import { openConnections, portOf, rootsListeners, SSH_SERVERS, tcpSockets } from './tcp-sockets.ts';

/** Limit of the walk: no real ancestry is longer. A process that ends meanwhile has no parent. */
const MOST_ANCESTORS = 64;

/** Returns this process and its ancestors, by their numbers in /proc. */
function ancestors(files: Files): readonly string[] {
  const pids = ['self'];
  for (let depth = 0; depth < MOST_ANCESTORS; depth++) {
    const stat = processText(files, pids.at(-1) ?? '', 'stat');
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? '0';
    if (!/^[1-9]\d*$/.test(parent)) break;
    pids.push(parent);
  }
  return pids;
}

/** Whether a process is root's SSH server and has this socket open. */
function serves(files: Files, pid: string, inode: number): boolean {
  if (!SSH_SERVERS.includes(processText(files, pid, 'comm').trim())) return false;
  if (!/^Uid:\t0\t0\t0\t0$/m.test(processText(files, pid, 'status'))) return false;
  const folder = `/proc/${pid}/fd`;
  // The link's target is no path: only its last part is meaningful.
  return files
    .list(folder)
    .some((name) => files.place(`${folder}/${name}`)?.endsWith(`/socket:[${inode}]`) === true);
}

/** Whether root listens on the connection's port. */
function isListenedFor(all: readonly ProcSocket[], connection: ProcSocket): boolean {
  return rootsListeners(all).some((each) => portOf(each) === portOf(connection));
}

/** The SSH session that a command was started from, and whether it may be kept. */
export interface OwnSession {
  readonly session: Session;
  /** False where no sshd of root's above this process holds the connection, as in tmux(1). */
  readonly served: boolean;
}

/**
 * Returns the session in `SSH_CONNECTION` of the nearest of these processes that has it. sudo(8)
 * removes it from our own environment. Any user can write that variable.
 */
function sessionAbove(files: Files, pids: readonly string[]): Session | undefined {
  const [said] = pids.flatMap(
    (pid) => /(?:^|\0)SSH_CONNECTION=([^\0]*)/.exec(processText(files, pid, 'environ'))?.[1] ?? [],
  );
  return said === undefined ? undefined : parseSession(said);
}

/** Returns the SSH session that the environment names, open or not. */
export function saidSession(files: Files): Session | undefined {
  return sessionAbove(files, ancestors(files));
}

/**
 * Returns the SSH session of this process. `SSH_CONNECTION` names it, in the environment of the
 * nearest ancestor that has it (sudo(8) removes it from our own). Any user can write that variable,
 * so the kernel must confirm it. Root has accepted the connection and listens on its port, and an
 * sshd of root's above us has it open.
 */
export function ownSshSession(files: Files): OwnSession | undefined {
  const pids = ancestors(files);
  const session = sessionAbove(files, pids);
  if (session === undefined) return undefined;
  const all = tcpSockets(files);
  const socket = openConnections(all).get(sessionText(session));
  if (socket === undefined) return undefined;
  return {
    session,
    served: isListenedFor(all, socket) && pids.some((pid) => serves(files, pid, socket.inode)),
  };
}
