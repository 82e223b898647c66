import type { Files } from '../host/files.ts';
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

function readKept(files: Files): readonly KeptSession[] {
  return stateOrNothing(files, SSH_SESSIONS, FILE) ?? [];
}

/** Returns the kept sessions that are still open. */
function openKept(files: Files): {
  readonly open: readonly KeptSession[];
  readonly ended: boolean;
} {
  const all = readKept(files);
  if (all.length === 0) return { open: [], ended: false };
  const connections = openConnections(tcpSockets(files));
  const open = all.filter(({ session, inode }) => {
    const socket = connections.get(sessionText(session));
    return socket !== undefined && (inode === undefined || socket.inode === inode);
  });
  return { open, ended: open.length < all.length };
}

/** Reads the open sessions that the rules let through. */
export function readSshSessions(files: Files): readonly Session[] {
  return openKept(files).open.map(({ session }) => session);
}

/** Whether a session has ended whose rule may still be loaded. */
export function hasEndedSession(files: Files): boolean {
  return openKept(files).ended;
}

function write(files: Files, sessions: readonly KeptSession[]): void {
  if (sessions.length === 0) {
    forgetSshSessions(files);
    return;
  }
  const json = sessions.map(({ session, inode }) =>
    inode === undefined ? sessionText(session) : { session: sessionText(session), inode },
  );
  files.write(SSH_SESSIONS, `${JSON.stringify(json)}\n`, 0o600);
}

/** Forgets the ended sessions. The caller holds the lock and has loaded rules without them. */
export function forgetEndedSessions(files: Files): void {
  const { open, ended } = openKept(files);
  if (ended) write(files, open);
}

/** Keeps the open ones of these and of the previously kept sessions. */
export function keepSshSessions(files: Files, added: readonly Session[]): readonly Session[] {
  const connections = openConnections(tcpSockets(files));
  const fresh = added.flatMap((session) => {
    const inode = connections.get(sessionText(session))?.inode;
    return inode === undefined ? [] : [{ session, inode }];
  });
  const all = new Map(
    [...openKept(files).open, ...fresh].map((each) => [sessionText(each.session), each]),
  );
  write(
    files,
    [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each),
  );
  return readSshSessions(files);
}

export function forgetSshSessions(files: Files): void {
  files.remove(SSH_SESSIONS);
}
