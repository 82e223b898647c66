import { basename, join, resolve } from 'node:path';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { printable } from '../net/printable.ts';
import { detach } from '../tunnel/attachment.ts';
import { options } from '../tunnel/profile-options.ts';

/** The folder of OpenVPN's own unit for clients; only root can write there. */
const CLIENT = '/etc/openvpn/client';
const KEYS = 0o600;
/** Options that name a file, in OpenVPN's manual. */
const FILES = [
  'ca',
  'cert',
  'key',
  'pkcs12',
  'tls-auth',
  'tls-crypt',
  'tls-crypt-v2',
  'auth-user-pass',
  'askpass',
  'crl-verify',
  'extra-certs',
];

/** A profile that any user may own, and root's copy that replaces it. */
export interface ProfileCopy {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
  /** The bytes of another profile at that place, which the copy replaces. */
  readonly replaced?: Uint8Array;
}

/** Tells whether two profiles are the same but for the lines of `attach`. */
function isSame(one: Uint8Array, other: Uint8Array): boolean {
  const own = (bytes: Uint8Array) => detach(Buffer.from(bytes).toString('latin1'));
  return own(one) === own(other);
}

/**
 * Lists files that a profile names by a path relative to its own folder: the copy looks for them
 * beside itself.
 */
export function filesBeside({ bytes }: ProfileCopy): readonly string[] {
  const text = Buffer.from(bytes).toString('utf8');
  return [...options(text)].flatMap(([option = '', file]) =>
    FILES.includes(option) && file !== undefined && file !== '[inline]' && !file.startsWith('/')
      ? [`${option} ${printable(file)}`]
      : [],
  );
}

function copyOf(host: Host, from: string, replaces: boolean): ProfileCopy | string {
  const to = join(CLIENT, `${basename(from).replace(/\.(ovpn|conf)$/, '')}.conf`);
  try {
    const bytes = host.readUntrusted(from);
    if (bytes === undefined) return `${printable(from)}: there is no such file`;
    const there = host.readBytes(to);
    if (there === undefined) return { from, to, bytes };
    if (isSame(bytes, there)) return { from, to, bytes: there };
    if (replaces) return { from, to, bytes, replaced: there };
    return `${printable(from)}: ${printable(to)} is there already, and differs`;
  } catch (thrown) {
    if (thrown instanceof KillswitchError && (thrown.code === 'FILES' || thrown.code === 'OWNER'))
      return `${printable(from)}: ${printable([thrown.message, ...thrown.detail].join(': '))}`;
    throw thrown;
  }
}

/**
 * Plans the copies of `attach --copy`; writes nothing. `replaces`: another profile at the place of
 * a copy is no problem.
 * @throws KillswitchError PROFILE with every problem.
 */
export function planCopies(
  host: Host,
  files: readonly string[],
  replaces: boolean,
): readonly ProfileCopy[] {
  const planned = [...new Set(files.map((file) => resolve(file)))].map((from) =>
    copyOf(host, from, replaces),
  );
  const problems = planned.filter((each) => typeof each === 'string');
  const copies = planned.flatMap((each) => (typeof each === 'string' ? [] : [each]));
  for (const [index, { from, to }] of copies.entries())
    if (copies.findIndex((each) => each.to === to) !== index)
      problems.push(`${printable(from)}: another profile would be copied to ${printable(to)}`);
  if (problems.length === 0) return copies;
  throw new KillswitchError(
    'PROFILE',
    'nothing was copied',
    'Rename or remove the file that is in the way, or replace it with --replace.',
    problems,
  );
}

/** Writes the copies. They belong to root and only root may read them: they may hold keys. */
export function writeCopies(host: Host, copies: readonly ProfileCopy[]): void {
  for (const { to, bytes } of copies) if (!host.exists(to)) host.write(to, bytes, KEYS);
}
