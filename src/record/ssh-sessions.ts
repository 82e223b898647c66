import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { list, object, type Schema, text, whole } from '../machine/schema.ts';
import { openConnections, tcpSockets } from '../machine/tcp-sockets.ts';
import { parseSession, type Session, sessionText } from '../net/session.ts';
import { stateOrNothing } from './state-file.ts';

/** No session survives a reboot, so the file lies in /run. */
export const SSH_SESSIONS = `${PATHS.runtime}/ssh-sessions`;
/** A kept session. A later connection between the same ends has another inode. */
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

/** Returns the kept sessions that are still open. */
function openKept(host: Host): { readonly open: readonly KeptSession[]; readonly ended: boolean } {
  const all = readKept(host);
  if (all.length === 0) return { open: [], ended: false };
  const connections = openConnections(tcpSockets(host));
  const open = all.filter(({ session, inode }) => {
    const socket = connections.get(sessionText(session));
    return socket !== undefined && (inode === undefined || socket.inode === inode);
  });
  return { open, ended: open.length < all.length };
}

/** Reads the open sessions that the rules let through. */
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

/** Forgets the ended sessions. The caller holds the lock and has loaded rules without them. */
export function forgetEndedSessions(host: Host): void {
  const { open, ended } = openKept(host);
  if (ended) write(host, open);
}

/** Keeps the open ones of these and of the previously kept sessions. */
export function keepSshSessions(host: Host, added: readonly Session[]): readonly Session[] {
  const connections = openConnections(tcpSockets(host));
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
