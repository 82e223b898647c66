import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { parseSession, type Session, sessionText } from '../net/session.ts';
import { type ProcSocket, procSockets } from './proc-address.ts';
import { processText } from './process-text.ts';
import { list, object, type Schema, text, whole } from './schema.ts';
import { stateOrNothing } from './state-file.ts';

/** No session survives a reboot, so neither does this. */
export const SSH_SESSIONS = `${PATHS.runtime}/ssh-sessions`;
/** TCP_ESTABLISHED and TCP_LISTEN (net/tcp_states.h). */
const [ESTABLISHED, LISTEN] = ['01', '0A'];
/**
 * The programs that serve SSH, as comm(5) has their names: OpenSSH before 9.8 and since, and
 * dropbear(8).
 */
export const SSH_SERVERS: readonly string[] = ['sshd', 'sshd-session', 'dropbear'];
/** Nobody's ancestry is longer; a process that ends meanwhile has none. */
const MOST_ANCESTORS = 64;

/** A session that is kept. A later connection between the same ends has another inode. */
interface KeptSession {
  readonly session: Session;
  /** Undefined in a file of an earlier version. */
  readonly inode: number | undefined;
}

const ends = text(parseSession, 'a session');
const detailed = object({ session: ends, inode: whole(1) });
const kept: Schema<KeptSession> = (json, at) =>
  typeof json === 'string' ? { session: ends(json, at), inode: undefined } : detailed(json, at);
const FILE = list(kept);

function readKept(host: Host): readonly KeptSession[] {
  return stateOrNothing(host, SSH_SESSIONS, FILE) ?? [];
}

function sockets(host: Host): readonly ProcSocket[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => procSockets(host.read(path) ?? ''));
}

/** The open connections that root has accepted, by `sessionText`. */
function openConnections(all: readonly ProcSocket[]): ReadonlyMap<string, ProcSocket> {
  const open = all.filter(({ state, uid }) => state === ESTABLISHED && uid === 0);
  return new Map(open.map((socket) => [`${socket.there} ${socket.here}`, socket]));
}

/** Of the sessions that were kept, those that are still open. */
function openKept(host: Host): { readonly open: readonly KeptSession[]; readonly ended: boolean } {
  const all = readKept(host);
  if (all.length === 0) return { open: [], ended: false };
  const connections = openConnections(sockets(host));
  const open = all.filter(({ session, inode }) => {
    const socket = connections.get(sessionText(session));
    return socket !== undefined && (inode === undefined || socket.inode === inode);
  });
  return { open, ended: open.length < all.length };
}

/** Sessions that the rules keep open: none that has ended. */
export function readSshSessions(host: Host): readonly Session[] {
  return openKept(host).open.map(({ session }) => session);
}

/** Whether a session has ended whose rule may still be loaded. */
export function hasEndedSession(host: Host): boolean {
  return openKept(host).ended;
}

function write(host: Host, sessions: readonly KeptSession[]): void {
  if (sessions.length === 0) {
    forgetSshSessions(host);
    return;
  }
  const json = sessions.map(({ session, inode }) =>
    inode === undefined ? sessionText(session) : { session: sessionText(session), inode },
  );
  host.write(SSH_SESSIONS, `${JSON.stringify(json)}\n`, 0o600);
}

/**
 * Forgets the sessions that have ended, for a caller that holds the lock and has loaded rules
 * without them.
 */
export function forgetEndedSessions(host: Host): void {
  const { open, ended } = openKept(host);
  if (ended) write(host, open);
}

/** Keeps those of these that are open, and of the ones that were kept before. */
export function keepSshSessions(host: Host, added: readonly Session[]): readonly Session[] {
  const connections = openConnections(sockets(host));
  const fresh = added.flatMap((session) => {
    const inode = connections.get(sessionText(session))?.inode;
    return inode === undefined ? [] : [{ session, inode }];
  });
  const all = new Map(
    [...openKept(host).open, ...fresh].map((each) => [sessionText(each.session), each]),
  );
  write(
    host,
    [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each),
  );
  return readSshSessions(host);
}

export function forgetSshSessions(host: Host): void {
  host.remove(SSH_SESSIONS);
}

/** This process and those above it, by their numbers in /proc. */
function ancestors(host: Host): readonly string[] {
  const pids = ['self'];
  for (let depth = 0; depth < MOST_ANCESTORS; depth++) {
    const stat = processText(host, pids.at(-1) ?? '', 'stat');
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? '0';
    if (!/^[1-9]\d*$/.test(parent)) break;
    pids.push(parent);
  }
  return pids;
}

/** Whether a process is root's server of SSH and has this socket open. */
function serves(host: Host, pid: string, inode: number): boolean {
  if (!SSH_SERVERS.includes(processText(host, pid, 'comm').trim())) return false;
  if (!/^Uid:\t0\t0\t0\t0$/m.test(processText(host, pid, 'status'))) return false;
  const folder = `/proc/${pid}/fd`;
  // Where the link leads is no path: its last part alone says what it is.
  return host
    .list(folder)
    .some((name) => host.place(`${folder}/${name}`)?.endsWith(`/socket:[${inode}]`) === true);
}

/** Whether root listens where a connection came in. */
function isListenedFor(all: readonly ProcSocket[], { here }: ProcSocket): boolean {
  const [, port] = here.split(' ');
  return all.some(
    (each) => each.state === LISTEN && each.uid === 0 && each.here.split(' ')[1] === port,
  );
}

/** The SSH session that a command was started from, and whether it may be kept. */
export interface OwnSession {
  readonly session: Session;
  /** False where no sshd of root's above this process has the connection, as in tmux(1). */
  readonly served: boolean;
}

/**
 * The session that `SSH_CONNECTION` names in the environment of the nearest of these processes that
 * has it: sudo(8) takes it out of our own. Anybody can write that variable.
 */
function sessionAbove(host: Host, pids: readonly string[]): Session | undefined {
  const [said] = pids.flatMap(
    (pid) => /(?:^|\0)SSH_CONNECTION=([^\0]*)/.exec(processText(host, pid, 'environ'))?.[1] ?? [],
  );
  return said === undefined ? undefined : parseSession(said);
}

/** The SSH session that the environment names, whether it is open or not. */
export function saidSession(host: Host): Session | undefined {
  return sessionAbove(host, ancestors(host));
}

/**
 * The SSH session of this process. `SSH_CONNECTION` names it, in the environment of the nearest
 * process above us that has it (sudo(8) takes it out of our own). Anybody can write that variable,
 * so the kernel must say the rest: root has accepted the connection, root listens on its port, and
 * an sshd of root's above us has it open.
 */
export function ownSshSession(host: Host): OwnSession | undefined {
  const pids = ancestors(host);
  const session = sessionAbove(host, pids);
  if (session === undefined) return undefined;
  const all = sockets(host);
  const socket = openConnections(all).get(sessionText(session));
  if (socket === undefined) return undefined;
  return {
    session,
    served: isListenedFor(all, socket) && pids.some((pid) => serves(host, pid, socket.inode)),
  };
}
