import type { Host } from '../host/host.ts';

/** The text of a file that anybody may have written, to be compared or shown; empty when there is none. @throws KillswitchError OWNER, FILES */
export function readAnybodys(host: Host, path: string): string {
  return Buffer.from(host.readUntrusted(path) ?? []).toString('utf8');
}
