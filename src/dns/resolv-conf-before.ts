import type { Files } from '../host/files.ts';
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
export function readBefore(files: Files): Before | undefined {
  for (const folder of FOLDERS) {
    const place = files.read(`${folder}/place`);
    if (place !== undefined)
      return {
        place: place.trimEnd(),
        bytes: files.readBytes(`${folder}/before`),
        written: files.read(`${folder}/written`),
      };
  }
  return undefined;
}

/**
 * Keeps the file at `place` as it is now. Keeps a resolv.conf of this product's as "no file" when
 * no earlier one is kept.
 */
export function keepBefore(files: Files, place: string): void {
  forgetBefore(files);
  const bytes = isOurs(readAnybodys(files, place)) ? undefined : files.readUntrusted(place);
  const folder = folderOf(place);
  if (bytes !== undefined) files.write(`${folder}/before`, bytes);
  // Write `place` last: without it nothing counts as kept.
  files.write(`${folder}/place`, `${place}\n`);
}

/**
 * Lets a program generate /etc/resolv.conf, and keeps the file's previous and its new text: a
 * reboot may leave the new one behind.
 */
export function generated(files: Files, generate: () => void): void {
  const place = files.place(PATHS.resolvConf) ?? PATHS.resolvConf;
  if (readBefore(files)?.place !== place) keepBefore(files, place);
  generate();
  const text = files.readUntrusted(place);
  if (text !== undefined) files.write(`${folderOf(place)}/written`, text);
}

export function forgetBefore(files: Files): void {
  for (const folder of FOLDERS)
    for (const file of FILES)
      if (files.exists(`${folder}/${file}`)) files.remove(`${folder}/${file}`);
}
