import { orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';

/**
 * The text of a file that anybody may have written, to be compared or shown; empty when there is
 * none, and where somebody else's link leads: that of systemd-resolved in its own folder, say.
 * @throws KillswitchError FILES
 */
export function readAnybodys(host: Host, path: string): string {
  return orElse(
    () => Buffer.from(host.readUntrusted(path) ?? []).toString('utf8'),
    () => '',
    'OWNER',
  );
}
