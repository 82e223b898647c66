import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import type { LockRecord } from './lock-record.ts';
import { SSH_SESSIONS } from './ssh-sessions.ts';

/**
 * The files that a lock keeps, with their modes. The settings come last: with them a lock on trial
 * is complete.
 */
export const KEPT = {
  'base.nft': 0o600,
  'base.v6': 0o600,
  'base.v4': 0o600,
  'base.hold': 0o600,
  'endpoints.json': 0o644,
  'settings.env': 0o600,
} as const;
export type Kept = keyof typeof KEPT;

/** The folder of a lock's files: in memory on trial, on disk for one that lasts. */
export type KeptFolder = typeof PATHS.state | typeof PATHS.trial;

export function keptFolder(record: LockRecord | undefined): KeptFolder {
  return record?.term?.kind === 'trial' ? PATHS.trial : PATHS.state;
}

/**
 * Returns the path of a file of the lock in force. On trial, a missing file falls back to the
 * previous lock's.
 */
export function keptPath(files: Files, record: LockRecord | undefined, file: Kept): string {
  const path = `${keptFolder(record)}/${file}`;
  return files.exists(path) ? path : lastingPath(file);
}

/** Returns the file's path for the lock that lasts, with which the machine boots. */
export function lastingPath(file: Kept): string {
  return `${PATHS.state}/${file}`;
}

const SESSIONS_BEFORE = `${PATHS.trial}/ssh-sessions`;

/** Saves the files outside the trial's folder that a trial changes. */
export function beginTrial(files: Files): void {
  forgetTrial(files);
  files.write(SESSIONS_BEFORE, files.read(SSH_SESSIONS) ?? '', 0o600);
}

/** Restores the files that `beginTrial` saved. */
export function endTrial(files: Files): void {
  const sessions = files.read(SESSIONS_BEFORE);
  if (sessions === '') files.remove(SSH_SESSIONS);
  else if (sessions !== undefined) files.write(SSH_SESSIONS, sessions, 0o600);
}

/**
 * Makes the lock on trial last.
 * @throws KillswitchError FILES when it is incomplete; nothing is changed then.
 */
export function adoptTrial(files: Files): void {
  const texts = new Map(
    Object.keys(KEPT).map((file) => [file, files.read(`${PATHS.trial}/${file}`)]),
  );
  const has = (...kept: readonly Kept[]) => kept.some((file) => texts.get(file) !== undefined);
  if (!has('settings.env') || !has('endpoints.json') || !has('base.nft', 'base.v4'))
    throw new KillswitchError(
      'FILES',
      `${PATHS.trial} is incomplete, so the lock on trial cannot be read`,
      'Run "ovpn-killswitch lock": it loads the settings file and ends the trial.',
    );
  for (const [file, mode] of Object.entries(KEPT) as readonly [Kept, number][]) {
    const text = texts.get(file);
    if (text === undefined) files.remove(lastingPath(file));
    else files.write(lastingPath(file), text, mode);
  }
}

export function forgetTrial(files: Files): void {
  files.remove(PATHS.trial);
}
