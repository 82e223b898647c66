import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { readProfile } from '../tunnel/profile.ts';
import { processText } from './process-text.ts';

/** Where a link in /proc leads, which is no path: its last part alone says what it is. */
function linkOf(host: Host, path: string): string | undefined {
  try {
    return host.place(path)?.replace(/^.*\//, '');
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return undefined;
    throw thrown;
  }
}

/** Whether a profile of root's names a server. */
function namesServer(host: Host, path: string): boolean {
  try {
    return readProfile(host.read(path) ?? '').remotes.length > 0;
  } catch (thrown) {
    // Another account's: only a client's word would tell, and nobody believes it.
    if (thrown instanceof KillswitchError) return false;
    throw thrown;
  }
}

/**
 * Whether a process of OpenVPN was started as a client: it, or the profile that it names, has a
 * `remote`.
 */
function isClient(host: Host, pid: string): boolean {
  const words = processText(host, pid, 'cmdline')
    .split('\0')
    .filter((word) => word !== '');
  if (words.includes('--remote')) return true;
  const named = words.flatMap((word, index) =>
    word === '--config' ? (words[index + 1] ?? []) : [],
  );
  const profiles = words.length === 2 ? words.slice(1) : named;
  return profiles.some((path) =>
    namesServer(host, path.startsWith('/') ? path : `/proc/${pid}/cwd/${path}`),
  );
}

/** Whether an OpenVPN client runs in our network namespace, connected or not. */
export function runsClient(host: Host): boolean {
  const own = linkOf(host, '/proc/self/ns/net');
  return host
    .list('/proc')
    .filter((pid) => /^\d+$/.test(pid) && processText(host, pid, 'comm').trim() === 'openvpn')
    .some((pid) => linkOf(host, `/proc/${pid}/ns/net`) === own && isClient(host, pid));
}
