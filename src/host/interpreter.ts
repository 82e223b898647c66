import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';

/** Folders that a hardened OpenVPN unit shows empty (systemd.exec(5), ProtectHome=). */
const HIDDEN = ['/home/', '/root/', '/run/user/'];

/**
 * Why OpenVPN's hooks must not run this interpreter where it lies; undefined when they may. What root runs must belong to root, with every
 * folder above it.
 */
export function unsafeInterpreter(path: string): string | undefined {
  const hidden = HIDDEN.find((folder) => path.startsWith(folder));
  if (hidden !== undefined) return `a hardened OpenVPN unit cannot see ${hidden.slice(0, -1)}`;
  for (let at = path; ; at = dirname(at)) {
    const { uid, mode } = lstatSync(at);
    if (uid !== 0) return `${at} does not belong to root`;
    // A folder with the sticky bit, such as /tmp, lets nobody replace what belongs to root.
    const sticky = (mode & 0o1000) !== 0 && at !== path;
    if ((mode & 0o022) !== 0 && !sticky) return `others than root can write to ${at}`;
    if (at === '/') return undefined;
  }
}
