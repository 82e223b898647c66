import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { printable } from '../net/printable.ts';
import { shellWord } from '../net/shell-word.ts';
import { detach } from '../tunnel/attachment.ts';

/**
 * A profile's current text and its new text. Bytes that are not UTF-8 stand for themselves, so that
 * every one of them comes back.
 */
export interface ProfileChange {
  readonly path: string;
  readonly encoding: 'utf8' | 'latin1';
  readonly before: string;
  readonly after: string;
}

/** A profile's new text, or why it has none. */
export type Changed = { readonly text: string } | { readonly problems: readonly string[] };

/**
 * Reads a profile: `host.readBytes` where the caller takes servers from it, `host.readUntrusted`
 * where it only takes lines out.
 */
export type ReadProfile = (path: string) => Uint8Array | undefined;

/** Reads a file, or returns why it cannot be read. */
function bytesOf(read: ReadProfile, path: string): Uint8Array | KillswitchError | string {
  try {
    return read(path) ?? 'there is no such file';
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
    if (thrown.code === 'OWNER') return thrown;
    if (thrown.code === 'FILES') return thrown.detail[0] ?? thrown.message;
    throw thrown;
  }
}

/**
 * Plans `change` for each file; writes nothing.
 * @throws KillswitchError PROFILE with every problem in any of them.
 */
export function planProfiles(
  read: ReadProfile,
  files: readonly string[],
  change: (text: string) => Changed,
): readonly ProfileChange[] {
  const problems: string[] = [];
  const foreign: string[] = [];
  const changes: ProfileChange[] = [];
  for (const path of new Set(files.map((file) => resolve(file)))) {
    const bytes = bytesOf(read, path);
    if (bytes instanceof KillswitchError) {
      problems.push(`${printable(path)}: ${bytes.message}`);
      foreign.push(shellWord(path));
      continue;
    }
    if (typeof bytes === 'string') {
      problems.push(`${path}: ${bytes}`);
      continue;
    }
    const encoding = isUtf8(bytes) ? 'utf8' : 'latin1';
    const before = Buffer.from(bytes).toString(encoding);
    const changed = change(before);
    if ('problems' in changed)
      problems.push(...changed.problems.map((problem) => `${path}: ${problem}`));
    else changes.push({ path, encoding, before, after: changed.text });
  }
  if (problems.length === 0) return changes;
  const many = files.length === 1 ? 'the profile' : `the ${files.length} profiles`;
  const next =
    foreign.length === 0
      ? 'Fix the problem that the lines above name, then run the command again.'
      : `Only root may name servers. To attach a copy of root's in /etc/openvpn/client: sudo ovpn-killswitch attach --copy ${foreign.join(' ')}`;
  throw new KillswitchError('PROFILE', `${many} cannot be changed like this`, next, problems);
}

/** Returns the path of a profile's backup: one file for each content it ever had. */
function backupOf({ path, encoding }: ProfileChange, original: string): string {
  const hash = createHash('sha256')
    .update(path)
    .update('\0')
    .update(Buffer.from(original, encoding))
    .digest('hex');
  return join(PATHS.state, 'profiles', `${basename(path)}.${hash.slice(0, 16)}`);
}

/**
 * Keeps the profile without this product's lines, and returns the path of the copy. Only root may
 * read the copy: it may hold keys.
 */
export function keepOriginal(host: Host, change: ProfileChange): string {
  const original = detach(change.before);
  const backup = backupOf(change, original);
  if (!host.exists(backup)) host.write(backup, Buffer.from(original, change.encoding), 0o600);
  return backup;
}

/** Removes the backup of a profile that equals its original again. */
export function forgetOriginal(host: Host, change: ProfileChange): void {
  host.remove(backupOf(change, change.after));
}

/**
 * Writes all of them or none: when one write fails, restores the profiles written before it.
 * @throws KillswitchError FILES
 */
export function writeProfiles(host: Host, changes: readonly ProfileChange[]): void {
  const written: ProfileChange[] = [];
  try {
    for (const change of changes) {
      host.rewrite(change.path, Buffer.from(change.after, change.encoding));
      written.push(change);
    }
  } catch (thrown) {
    for (const { path, before, encoding } of written)
      host.rewrite(path, Buffer.from(before, encoding));
    throw thrown;
  }
}

/** Refuses a caller that may not change rules. @throws KillswitchError NOT_ROOT */
export function needRoot(host: Host, call: string): void {
  if (!host.mayChangeRules())
    throw new KillswitchError(
      'NOT_ROOT',
      `"${call}" needs root`,
      `Run it with sudo; --dry-run shows the change without.`,
    );
}
