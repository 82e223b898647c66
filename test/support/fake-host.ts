import type { Command, Output } from '../../src/host/command.ts';
import type { Owned } from '../../src/host/files.ts';
import type { Host } from '../../src/host/host.ts';
import type { LogEntry } from '../../src/host/log-entry.ts';

/**
 * A machine in memory: files, installed programs, and answers of programs; everything done to it is
 * kept.
 */
export interface FakeHost extends Host {
  readonly files: Map<string, string>;
  readonly commands: Command[];
  readonly logged: LogEntry[];
  /** Programs that were left to run afterwards. */
  readonly started: (readonly string[])[];
  /** Commands that were called in turn. */
  readonly called: {
    readonly command: readonly string[];
    readonly env: Readonly<Record<string, string | undefined>>;
  }[];
}

export interface FakeMachine {
  readonly files?: Readonly<Record<string, string>>;
  /** The owners of files and folders that are not root's alone. */
  readonly owners?: Readonly<Record<string, Owned>>;
  /** Symbolic links: where each leads. */
  readonly links?: Readonly<Record<string, string>>;
  /** Installed programs. */
  readonly programs?: readonly string[];
  /** The answer of a program; by default it ends well and says nothing. */
  readonly answer?: (command: Command, host: FakeHost) => Partial<Output>;
  readonly root?: boolean;
  /** How a command that is called in turn ends. */
  readonly inTurn?: { readonly status: number; readonly why?: string };
  /** The answers of DNS: names to addresses. */
  readonly answers?: Readonly<Record<string, readonly string[]>>;
  readonly now?: number;
}

const textOf = (content: string | Uint8Array) =>
  typeof content === 'string' ? content : Buffer.from(content).toString();

export function fakeHost({
  files = {},
  links = {},
  owners = {},
  programs = [],
  answer = () => ({}),
  root = true,
  answers = {},
  inTurn = { status: 0 },
  now = 1_800_000_000,
}: FakeMachine = {}): FakeHost {
  const tree = new Map(Object.entries(files));
  const at = (path: string) => links[path] ?? path;
  const isFolder = (path: string) => [...tree.keys()].some((file) => file.startsWith(`${path}/`));
  const host: FakeHost = {
    files: tree,
    commands: [],
    logged: [],
    started: [],
    called: [],
    run: (command) => {
      host.commands.push(command);
      return { status: 0, stdout: '', stderr: '', ...answer(command, host) };
    },
    has: (program) => programs.includes(program),
    read: (path) => tree.get(at(path)),
    readBytes: (path) => {
      const text = tree.get(at(path));
      return text === undefined ? undefined : Buffer.from(text);
    },
    readUntrusted: (path) => host.readBytes(path),
    list: (folder) => [
      ...new Set(
        [...tree.keys()]
          .filter((file) => file.startsWith(`${folder}/`))
          .map((file) => file.slice(folder.length + 1).split('/')[0] ?? ''),
      ),
    ],
    exists: (path) => tree.has(at(path)) || isFolder(path),
    owner: (path) => {
      if (!tree.has(at(path)) && !isFolder(path)) return undefined;
      return (
        owners[path] ??
        (isFolder(path)
          ? { uid: 0, mode: 0o755, kind: 'folder' }
          : { uid: 0, mode: 0o644, kind: 'file' })
      );
    },
    place: (path) => links[path] ?? (tree.has(path) ? path : undefined),
    write: (path, text) => {
      tree.set(path, textOf(text));
    },
    remove: (path) => {
      for (const file of [...tree.keys()])
        if (file === path || file.startsWith(`${path}/`)) tree.delete(file);
    },
    removeIf: (path, isExpected) => {
      const text = tree.get(path);
      return text !== undefined && isExpected(text) && tree.delete(path);
    },
    rewrite: (path, text) => {
      tree.set(at(path), textOf(text));
    },
    resolve: (names) =>
      new Map(
        names.flatMap((name) =>
          answers[name] === undefined ? [] : [[name, answers[name]] as const],
        ),
      ),
    callInTurn: (command, env) => {
      host.called.push({ command, env });
      return inTurn;
    },
    startAfterwards: (path, args) => {
      host.started.push([path, ...args]);
    },
    startIn: (seconds, path, args) => {
      host.started.push([`in ${seconds} s`, path, ...args]);
    },
    ownAddresses: () => [],
    exclusively: (work) => work(),
    log: (entry) => {
      host.logged.push(entry);
    },
    logLevel: () => undefined,
    now: () => now,
    mayChangeRules: () => root,
    uid: () => (root ? 0 : 1000),
  };
  return host;
}
