import { createHash } from 'node:crypto';
import type { Host } from '../host/host.ts';
import { type KeptFolder, lastingPath } from './trial.ts';

/**
 * The files that hold the base rules for the boot: of nftables one, of iptables one for each
 * family, and the same base in words of nft that stands for them when nft flushes them.
 */
export const BASE_FILES = ['base.nft', 'base.v6', 'base.v4', 'base.hold'] as const;
export type BaseFile = (typeof BASE_FILES)[number];

function sealOf(text: string): string {
  return `# sha256 ${createHash('sha256').update(text).digest('hex')}\n`;
}

/**
 * A script whose last line, a comment, is the checksum of what is above it. `nft` loads a script
 * that was cut off between two commands, and `iptables-restore` an empty one, without an error.
 */
export function sealed(text: string): string {
  return `${text}${sealOf(text)}`;
}

/** The script of a sealed text; undefined when its checksum is another. */
export function unsealed(text: string): string | undefined {
  const cut = text.lastIndexOf('\n', text.length - 2) + 1;
  const script = text.slice(0, cut);
  return sealOf(script) === text.slice(cut) ? script : undefined;
}

/** Keeps the base rules for the boot. Those of another backend go after the new ones are there. */
export function keepBaseTexts(
  host: Host,
  texts: Readonly<Partial<Record<BaseFile, string>>>,
  folder: KeptFolder,
): void {
  for (const file of BASE_FILES) {
    const text = texts[file];
    if (text === undefined || host.read(`${folder}/${file}`) === sealed(text)) continue;
    host.write(`${folder}/${file}`, sealed(text), 0o600);
  }
  for (const file of BASE_FILES) if (texts[file] === undefined) host.remove(`${folder}/${file}`);
}

export function forgetBaseTexts(host: Host): void {
  for (const file of BASE_FILES) host.remove(lastingPath(file));
}

/** What the machine boots with: `damaged` when the text is not what was written. */
export function readBaseTexts(host: Host): Readonly<Partial<Record<BaseFile, string | 'damaged'>>> {
  return Object.fromEntries(
    BASE_FILES.flatMap((file) => {
      const text = host.read(lastingPath(file));
      return text === undefined ? [] : [[file, unsealed(text) ?? 'damaged']];
    }),
  );
}
