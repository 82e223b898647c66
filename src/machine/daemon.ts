import type { Files } from '../host/files.ts';
import { made, object, optional, type Schema, text, whole } from './schema.ts';

/**
 * The process that owns a tunnel. `start` tells it from a later process of the same number
 * (proc(5), starttime).
 */
export interface Daemon {
  readonly pid: number;
  readonly start: string;
  /** The pid namespace of that number (namespaces(7)); missing in files of earlier versions. */
  readonly namespace?: string;
}

/** A process id (pid_max, proc(5)) and a start time in clock ticks. */
export const DAEMON: Schema<Daemon> = made(
  object({
    pid: whole(1, 2 ** 22),
    start: text((ticks) => (/^\d{1,20}$/.test(ticks) ? ticks : undefined), 'a start time'),
    namespace: optional(
      text((name) => (/^pid:\[\d+\]$/.test(name) ? name : undefined), 'a pid namespace'),
    ),
  }),
  ({ pid, start, namespace }): Daemon => ({
    pid,
    start,
    ...(namespace !== undefined && { namespace }),
  }),
);

/**
 * Returns a process's start time; undefined when it does not exist, or has died and its parent has
 * not reaped it.
 */
export function startOf(files: Files, pid: number): string | undefined {
  const stat = files.read(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses and may hold anything. The state follows
  // it, and starttime 19 fields later.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19];
}

/**
 * Returns our own pid namespace as its link in /proc names it; undefined where that is unreadable.
 */
function pidNamespace(files: Files): string | undefined {
  return files.place('/proc/self/ns/pid')?.replace(/^.*\//, '');
}

/** Returns the identity of a process in our own pid namespace; undefined when it does not exist. */
export function daemonOf(files: Files, pid: number): Daemon | undefined {
  const [start, namespace] = [startOf(files, pid), pidNamespace(files)];
  return start === undefined
    ? undefined
    : { pid, start, ...(namespace !== undefined && { namespace }) };
}

/**
 * Whether a process has ended. False for a process in another pid namespace, which cannot be seen
 * from here.
 */
export function hasEnded(files: Files, { pid, start, namespace }: Daemon): boolean {
  return (
    startOf(files, pid) !== start && (namespace === undefined || namespace === pidNamespace(files))
  );
}
