import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Command, Output } from '../../src/host/command.ts';
import type { Host } from '../../src/host/host.ts';
import type { LogEntry } from '../../src/host/log-entry.ts';
import { PROGRAM_FOLDERS } from '../../src/host/paths.ts';
import type { Sandbox } from '../../src/host/sandbox.ts';

/** A Host whose system is a sandbox, and what it was asked. */
export interface SandboxHost extends Host {
  /** Every command that was run, in order. */
  readonly commands: readonly Command[];
  readonly entries: readonly LogEntry[];
}

export interface SandboxHostOptions {
  /** Stands in for a run: `run` is the real one. */
  readonly intercept?: (command: Command, run: (command: Command) => Output) => Output;
  /** Time limit of a child. */
  readonly milliseconds?: number;
}

function orNothing<Value>(work: () => Value): Value | undefined {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw thrown;
  }
}

/**
 * Lets this process use the product's own modules on a sandbox: programs run inside, files are
 * those it sees.
 */
export function sandboxHost(
  sandbox: Sandbox,
  { intercept, milliseconds = 10_000 }: SandboxHostOptions = {},
): SandboxHost {
  const commands: Command[] = [];
  const entries: LogEntry[] = [];
  const inside = (path: string) => `/proc/${sandbox.pid}/root${path}`;
  const run = ({ program, args, stdin }: Command): Output =>
    stdin === undefined
      ? sandbox.run([program, ...args], { milliseconds })
      : // Node gives a socket, which nft 0.9.8 cannot read.
        sandbox.run(['sh', '-c', 'cat | "$0" "$@"', program, ...args], { milliseconds, stdin });
  return {
    commands,
    entries,
    run: (command) => {
      commands.push(command);
      return intercept === undefined ? run(command) : intercept(command, run);
    },
    has: (program) => PROGRAM_FOLDERS.some((folder) => existsSync(inside(`${folder}/${program}`))),
    exists: (path) => existsSync(inside(path)),
    owner: (path) => {
      const found = orNothing(() => lstatSync(inside(path)));
      return (
        found && {
          uid: found.uid,
          mode: found.mode & 0o7777,
          kind: found.isDirectory() ? 'folder' : found.isFile() ? 'file' : 'other',
        }
      );
    },
    place: (path) =>
      existsSync(inside(path)) ? sandbox.run(['readlink', '-f', path]).stdout.trim() : undefined,
    read: (path) => orNothing(() => readFileSync(inside(path), 'utf8')),
    readBytes: (path) => orNothing(() => readFileSync(inside(path))),
    readUntrusted: (path) => orNothing(() => readFileSync(inside(path))),
    list: (folder) => orNothing(() => readdirSync(inside(folder)).sort()) ?? [],
    write: (path, text, mode = 0o644) => {
      mkdirSync(dirname(inside(path)), { recursive: true });
      writeFileSync(inside(path), text, { mode });
    },
    rewrite: (path, text) => writeFileSync(inside(path), text),
    remove: (path) => rmSync(inside(path), { recursive: true, force: true }),
    removeIf: (path, isExpected) => {
      const text = orNothing(() => readFileSync(inside(path), 'utf8'));
      if (text === undefined || !isExpected(text)) return false;
      rmSync(inside(path));
      return true;
    },
    resolve: () => new Map(),
    startAfterwards: () => undefined,
    startIn: () => undefined,
    callInTurn: () => ({ status: 127, why: 'hooks do not run on this host' }),
    ownAddresses: () => [],
    exclusively: (work) => work(),
    log: (entry) => {
      entries.push(entry);
    },
    logLevel: () => undefined,
    now: () => Math.floor(Date.now() / 1000),
    mayChangeRules: () => true,
    uid: () => 0,
  };
}
