import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { readProfile } from '../tunnel/profile.ts';
import { processText } from './process-text.ts';

/** Returns the target of a link in /proc. It is no path: only its last part is meaningful. */
function linkOf(files: Files, path: string): string | undefined {
  try {
    return files.place(path)?.replace(/^.*\//, '');
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return undefined;
    throw thrown;
  }
}

/** Whether a profile that root owns names a server. */
function namesServer(files: Files, path: string): boolean {
  try {
    return readProfile(files.read(path) ?? '').remotes.length > 0;
  } catch (thrown) {
    // Another account owns it: only that client claims it, and the claim is not trusted.
    if (thrown instanceof KillswitchError) return false;
    throw thrown;
  }
}

/**
 * Whether a process of OpenVPN was started as a client: its command line, or its profile, has a
 * `remote`.
 */
function isClient(files: Files, pid: string): boolean {
  const words = processText(files, pid, 'cmdline')
    .split('\0')
    .filter((word) => word !== '');
  if (words.includes('--remote')) return true;
  const named = words.flatMap((word, index) =>
    word === '--config' ? (words[index + 1] ?? []) : [],
  );
  const profiles = words.length === 2 ? words.slice(1) : named;
  return profiles.some((path) =>
    namesServer(files, path.startsWith('/') ? path : `/proc/${pid}/cwd/${path}`),
  );
}

/** Whether an OpenVPN client runs in our network namespace, connected or not. */
export function runsClient(files: Files): boolean {
  const own = linkOf(files, '/proc/self/ns/net');
  return files
    .list('/proc')
    .filter((pid) => /^\d+$/.test(pid) && processText(files, pid, 'comm').trim() === 'openvpn')
    .some((pid) => linkOf(files, `/proc/${pid}/ns/net`) === own && isClient(files, pid));
}
