import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import { isOurs } from './resolv-conf-text.ts';

/**
 * Where the previous /etc/resolv.conf is kept: its place, its bytes, and the text that a generator
 * wrote for this product. The files are plain: the recover script reads them too. Each copy lasts
 * as long as the change: a resolv.conf below /run is gone after a reboot, and so is its copy.
 */
export const FOLDERS = [`${PATHS.state}/dns`, `${PATHS.runtime}/dns`] as const;
export const FILES = ['place', 'before', 'written'] as const;

function folderOf(place: string): string {
  return place.startsWith('/run/') ? FOLDERS[1] : FOLDERS[0];
}

export interface Before {
  /** The path of the file itself, behind every link. */
  readonly place: string;
  /** undefined: there was no file. */
  readonly bytes: Uint8Array | undefined;
  /**
   * The text that a generator of the file wrote for this product; undefined when this product wrote
   * the file itself.
   */
  readonly written: string | undefined;
}

/** Reads the kept file; undefined when none is kept. */
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
 * Keeps the file at `place` as it is now. Keeps a resolv.conf of this product's as "no file" when
 * no earlier one is kept.
 */
export function keepBefore(host: Host, place: string): void {
  forgetBefore(host);
  const bytes = isOurs(readAnybodys(host, place)) ? undefined : host.readUntrusted(place);
  const folder = folderOf(place);
  if (bytes !== undefined) host.write(`${folder}/before`, bytes);
  // Write `place` last: without it nothing counts as kept.
  host.write(`${folder}/place`, `${place}\n`);
}

/**
 * Lets a program generate /etc/resolv.conf, and keeps the file's previous and its new text: a
 * reboot may leave the new one behind.
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
