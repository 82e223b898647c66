import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { orElse } from '../errors.ts';
import { type Change, changeBy } from './change.ts';
import type { Command, Output } from './command.ts';
import type { Host } from './host.ts';

/** The facts about this product's files and scripts that a recording needs. */
export interface Counting {
  /**
   * Returns the part of a file whose change counts; undefined where the whole file does not, such
   * as the log.
   */
  counted(path: string, bytes: Uint8Array): Uint8Array | undefined;
  /** Lists the paths that a plain script or a service manager may write or remove, now. */
  scripted(host: Host): readonly string[];
  /** Describes the kernel's rules, for a script that removes them. */
  rules(host: Host): string;
}

/** A host that records what was really changed through it. */
export interface Recording {
  readonly host: Host;
  /**
   * Does work that writes past the host, and compares these files and folders before and after.
   */
  during<Result>(paths: readonly string[], work: () => Result): Result;
  /** Returns what differs from the first look at it, in the order of the first effects. */
  changes(): readonly Change[];
}

/** Each file and link at or below a path, and a digest of it. */
type Look = ReadonlyMap<string, string>;

/** The depth below which nothing of this product lies. */
const DEEPEST = 8;

/** Describes a file that is too large to be read, or that others own. */
function unread(path: string): string {
  try {
    const { ino, size, mtimeMs } = lstatSync(path);
    return `unread ${ino} ${size} ${mtimeMs}`;
  } catch {
    return 'unread';
  }
}

function bytesOf(host: Host, path: string): Uint8Array | undefined {
  return orElse(
    () => host.readBytes(path),
    () =>
      orElse(
        () => host.readUntrusted(path),
        () => undefined,
      ),
  );
}

function lookAt(host: Host, counting: Counting, path: string, depth = 0): Look {
  const owned = orElse(
    () => host.owner(path),
    () => undefined,
  );
  if (owned === undefined || owned.kind === 'other' || depth > DEEPEST) return new Map();
  if (owned.kind === 'folder')
    return new Map(
      orElse(
        () => host.list(path),
        () => [],
      ).flatMap((name) => [...lookAt(host, counting, join(path, name), depth + 1)]),
    );
  if (owned.kind === 'link') return new Map([[path, `link ${host.place(path) ?? ''}`]]);
  const bytes = bytesOf(host, path);
  const counted = bytes === undefined ? undefined : counting.counted(path, bytes);
  if (bytes !== undefined && counted === undefined) return new Map();
  const content =
    counted === undefined ? unread(path) : createHash('sha256').update(counted).digest('hex');
  return new Map([[path, `file ${owned.uid} ${owned.mode} ${content}`]]);
}

function howOf(before: string | undefined, after: string | undefined): Change['how'] {
  if (before === undefined) return 'added';
  return after === undefined ? 'removed' : 'changed';
}

/**
 * Wraps a host, so that every effect on a file is compared with what was there, and every command
 * that a look has found needed is noted when it ends well. A file that holds the same already is
 * not written again. Net: what is written and then restored does not count.
 */
export function recordingHost(host: Host, counting: Counting): Recording {
  const first = new Map<string, string | undefined>();
  const last = new Map<string, string | undefined>();
  const noted = new Map<string, Change>();
  const note = (change: Change) => noted.set(`${change.kind} ${change.what}`, change);

  const during = <Result>(paths: readonly string[], work: () => Result): Result => {
    const look = () => new Map(paths.flatMap((path) => [...lookAt(host, counting, path)]));
    const before = look();
    try {
      return work();
    } finally {
      const after = look();
      for (const path of new Set([...before.keys(), ...after.keys()])) {
        if (!first.has(path)) first.set(path, before.get(path));
        last.set(path, after.get(path));
      }
    }
  };

  const holds = (path: string, text: string | Uint8Array, mode: number): boolean =>
    orElse(
      () => {
        const owned = host.owner(path);
        if (owned?.kind !== 'file' || owned.uid !== 0 || owned.mode !== mode) return false;
        const bytes = host.readBytes(path);
        return bytes !== undefined && Buffer.from(bytes).equals(Buffer.from(text));
      },
      () => false,
    );

  const scripted = () =>
    orElse(
      () => counting.scripted(host),
      () => [],
    );

  const runScript = (command: Command): Output => {
    const rules = command.changes === 'rules' ? counting.rules(host) : undefined;
    const output = during(scripted(), () => host.run(command));
    if (rules !== undefined && counting.rules(host) !== rules)
      note({ kind: 'rules', what: command.args.join(' '), how: 'changed' });
    return output;
  };

  const run = (command: Command): Output => {
    if (command.program === 'sh') return runScript(command);
    const output =
      command.program === 'systemctl' || command.program === 'rc-update'
        ? during(scripted(), () => host.run(command))
        : host.run(command);
    const change = changeBy(command);
    // Of a command that was stopped, nobody knows whether it had taken effect.
    if (change !== undefined && (output.status === 0 || output.status === null)) note(change);
    return output;
  };

  return {
    host: {
      ...host,
      run,
      write: (path, text, mode = 0o644) => {
        if (!holds(path, text, mode)) during([path], () => host.write(path, text, mode));
      },
      rewrite: (path, text) => during([path], () => host.rewrite(path, text)),
      remove: (path) => during([path], () => host.remove(path)),
      removeIf: (path, isExpected) => during([path], () => host.removeIf(path, isExpected)),
    },
    during,
    changes: () => [
      ...noted.values(),
      ...[...first].flatMap(([path, before]): Change[] => {
        const after = last.get(path);
        const kind = path.startsWith('/proc/sys/') ? 'setting' : 'file';
        return before === after ? [] : [{ kind, what: path, how: howOf(before, after) }];
      }),
    ],
  };
}
