import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';

/** A line of /etc/passwd (passwd(5)). */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Returns the account of a name or number; undefined when /etc/passwd has none. */
export function accountOf(host: Host, text: string): Account | undefined {
  const lines = (host.read(PATHS.passwd) ?? '').split('\n').map((line) => line.split(':'));
  const [name, , uid = '', gid = '', , home = ''] =
    lines.find((each) => each[0] === text || each[2] === text) ?? [];
  return name === undefined || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)
    ? undefined
    : { name, uid: Number(uid), gid: Number(gid), home };
}
