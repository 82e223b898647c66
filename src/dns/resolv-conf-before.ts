import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import { isOurs } from './resolv-conf-text.ts';

/**
 * What /etc/resolv.conf was before us: where it lies, its bytes, and what a generator made of it
 * for us, as plain files that the recover script reads too. Kept where it lasts as long as the
 * change: a resolv.conf below /run is gone after a reboot, and so is what was kept of it.
 */
export const FOLDERS = [`${PATHS.state}/dns`, `${PATHS.runtime}/dns`] as const;
export const FILES = ['place', 'before', 'written'] as const;

function folderOf(place: string): string {
  return place.startsWith('/run/') ? FOLDERS[1] : FOLDERS[0];
}

export interface Before {
  /** The file itself, behind every link. */
  readonly place: string;
  /** undefined: there was no file. */
  readonly bytes: Uint8Array | undefined;
  /**
   * What somebody who generates the file made of it for us; undefined when we wrote it ourselves.
   */
  readonly written: string | undefined;
}

/** What was kept; undefined when nothing was. */
export function readBefore(host: Host): Before | undefined {
  for (const folder of FOLDERS) {
    const place = host.read(`${folder}/place`);
    if (place !== undefined)
      return {
        place: place.trimEnd(),
        bytes: host.readBytes(`${folder}/before`),
        written: host.read(`${folder}/written`),
      };
  }
  return undefined;
}

/**
 * Keeps the file at `place` as it is now. One of ours, of which nothing was kept, counts as none.
 */
export function keepBefore(host: Host, place: string): void {
  forgetBefore(host);
  const bytes = isOurs(readAnybodys(host, place)) ? undefined : host.readUntrusted(place);
  const folder = folderOf(place);
  if (bytes !== undefined) host.write(`${folder}/before`, bytes);
  // The last: without a place nothing counts as kept.
  host.write(`${folder}/place`, `${place}\n`);
}

/**
 * Lets a program generate /etc/resolv.conf, and keeps what it was and what it becomes: after a
 * reboot it may be left as it became.
 */
export function generated(host: Host, generate: () => void): void {
  const place = host.place(PATHS.resolvConf) ?? PATHS.resolvConf;
  if (readBefore(host)?.place !== place) keepBefore(host, place);
  generate();
  const text = host.readUntrusted(place);
  if (text !== undefined) host.write(`${folderOf(place)}/written`, text);
}

export function forgetBefore(host: Host): void {
  for (const folder of FOLDERS)
    for (const file of FILES)
      if (host.exists(`${folder}/${file}`)) host.remove(`${folder}/${file}`);
}
