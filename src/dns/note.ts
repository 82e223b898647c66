import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';

/**
 * What we told a program that forgets it with a reboot, as we do then: a file of lines, which the
 * recover script reads too.
 */
export type NoteName = 'resolved' | 'openresolv' | 'resolvconf' | 'networkmanager';

export function pathOf(name: NoteName): string {
  return `${PATHS.runtime}/dns/${name}`;
}

export function readNote(host: Host, name: NoteName): string | undefined {
  return host.read(pathOf(name));
}

/**
 * Written before the program is told: if we die in between, too much is taken back, and that does
 * no harm.
 */
export function writeNote(host: Host, name: NoteName, text: string): void {
  host.write(pathOf(name), text);
}

export function removeNote(host: Host, name: NoteName): void {
  host.remove(pathOf(name));
}
