import { orElse } from '../errors.ts';
import type { Files } from '../host/files.ts';

/**
 * Reads a file that any user may have written, to compare or show it. Returns an empty text when it
 * is missing, or a link of another user's, as that of systemd-resolved in its own folder.
 * @throws KillswitchError FILES
 */
export function readAnybodys(files: Files, path: string): string {
  return orElse(
    () => Buffer.from(files.readUntrusted(path) ?? []).toString('utf8'),
    () => '',
    'OWNER',
  );
}
