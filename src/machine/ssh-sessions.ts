import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { parseSession, type Session, sessionText } from '../net/session.ts';
import { parseJson, texts } from './json.ts';
import { procSockets } from './proc-address.ts';
import { processText } from './process-text.ts';

/** No session survives a reboot, so neither does this. */
export const SSH_SESSIONS = `${PATHS.runtime}/ssh-sessions`;
/** TCP_ESTABLISHED (net/tcp_states.h). */
const ESTABLISHED = '01';

/** Sessions that the rules keep open. */
export function readSshSessions(host: Host): readonly Session[] {
  return texts(parseJson(host.read(SSH_SESSIONS) ?? ''), parseSession) ?? [];
}

/** Keeps those of these that are open, and of the ones that were kept before. */
export function keepSshSessions(host: Host, added: readonly Session[]): readonly Session[] {
  const open = openConnections(host);
  const kept = [...new Set([...readSshSessions(host), ...added].map(sessionText))].filter((text) => open.has(text)).sort();
  if (kept.length > 0) host.write(SSH_SESSIONS, `${JSON.stringify(kept)}\n`, 0o600);
  else forgetSshSessions(host);
  return readSshSessions(host);
}

export function forgetSshSessions(host: Host): void {
  host.remove(SSH_SESSIONS);
}

/** The open TCP connections of this network namespace, by `sessionText`. */
function openConnections(host: Host): ReadonlySet<string> {
  const sockets = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => procSockets(host.read(path) ?? ''));
  return new Set(sockets.flatMap(({ here, there, state }) => (state === ESTABLISHED ? [`${there} ${here}`] : [])));
}

/**
 * The SSH session that this process was started from: what `SSH_CONNECTION` says in the environment of the nearest process above us that has
 * it (sudo(8) takes it out of our own), when the kernel has such a connection open.
 */
export function ownSshSession(host: Host): Session | undefined {
  let pid = 'self';
  // Nobody's ancestry is longer; a process that ends meanwhile has none.
  for (let depth = 0; depth < 64; depth++) {
    const [, said] = /(?:^|\0)SSH_CONNECTION=([^\0]*)/.exec(processText(host, pid, 'environ')) ?? [];
    if (said !== undefined) {
      const session = parseSession(said);
      return session !== undefined && openConnections(host).has(sessionText(session)) ? session : undefined;
    }
    const stat = processText(host, pid, 'stat');
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? '0';
    if (!/^[1-9]\d*$/.test(parent)) return undefined;
    pid = parent;
  }
  return undefined;
}
