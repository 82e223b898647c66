import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';

/** A line of /etc/passwd (passwd(5)). */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Returns the account of a name or number; undefined when /etc/passwd has none. */
export function accountOf(files: Files, text: string): Account | undefined {
  const lines = (files.read(PATHS.passwd) ?? '').split('\n').map((line) => line.split(':'));
  const [name, , uid = '', gid = '', , home = ''] =
    lines.find((each) => each[0] === text || each[2] === text) ?? [];
  return name === undefined || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)
    ? undefined
    : { name, uid: Number(uid), gid: Number(gid), home };
}

/** Returns the user id of an account: a number as it is, a name through /etc/passwd. */
export function uidOf(files: Files, account: string): number | undefined {
  return /^\d{1,9}$/.test(account) ? Number(account) : accountOf(files, account)?.uid;
}
