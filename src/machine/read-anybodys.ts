import { orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';

/**
 * Reads a file that any user may have written, to compare or show it. Returns an empty text when it
 * is missing, or a link of another user's, as that of systemd-resolved in its own folder.
 * @throws KillswitchError FILES
 */
export function readAnybodys(host: Host, path: string): string {
  return orElse(
    () => Buffer.from(host.readUntrusted(path) ?? []).toString('utf8'),
    () => '',
    'OWNER',
  );
}
