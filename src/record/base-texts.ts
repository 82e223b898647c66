import { createHash } from 'node:crypto';
import type { Files } from '../host/files.ts';
import { type KeptFolder, lastingPath } from './trial.ts';

/**
 * The files that hold the base rules for the boot: one for nftables, one per family for iptables.
 * `base.hold` is the same base in nft's syntax, for when nft flushes the rules of iptables.
 */
export const BASE_FILES = ['base.nft', 'base.v6', 'base.v4', 'base.hold'] as const;
export type BaseFile = (typeof BASE_FILES)[number];

function sealOf(text: string): string {
  return `# sha256 ${createHash('sha256').update(text).digest('hex')}\n`;
}

/**
 * Appends the script's checksum as a comment on the last line. Without an error, `nft` loads a
 * script that was cut off between two commands, and `iptables-restore` loads an empty one.
 */
export function sealed(text: string): string {
  return `${text}${sealOf(text)}`;
}

/** Returns the script of a sealed text, or undefined when the checksum does not match. */
export function unsealed(text: string): string | undefined {
  const cut = text.lastIndexOf('\n', text.length - 2) + 1;
  const script = text.slice(0, cut);
  return sealOf(script) === text.slice(cut) ? script : undefined;
}

/** Keeps the base rules for the boot, then removes those of another backend. */
export function keepBaseTexts(
  files: Files,
  texts: Readonly<Partial<Record<BaseFile, string>>>,
  folder: KeptFolder,
): void {
  for (const file of BASE_FILES) {
    const text = texts[file];
    if (text === undefined || files.read(`${folder}/${file}`) === sealed(text)) continue;
    files.write(`${folder}/${file}`, sealed(text), 0o600);
  }
  for (const file of BASE_FILES) if (texts[file] === undefined) files.remove(`${folder}/${file}`);
}

export function forgetBaseTexts(files: Files): void {
  for (const file of BASE_FILES) files.remove(lastingPath(file));
}

/**
 * Reads the rules that the machine boots with: `damaged` where a file's checksum does not match.
 */
export function readBaseTexts(
  files: Files,
): Readonly<Partial<Record<BaseFile, string | 'damaged'>>> {
  return Object.fromEntries(
    BASE_FILES.flatMap((file) => {
      const text = files.read(lastingPath(file));
      return text === undefined ? [] : [[file, unsealed(text) ?? 'damaged']];
    }),
  );
}
