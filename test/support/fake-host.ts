import type { Command, Output } from '../../src/backend/backend.ts';
import type { Host, LogEntry } from '../../src/host/host.ts';

/** A machine in memory: files, installed programs, and answers of programs; everything done to it is kept. */
export interface FakeHost extends Host {
  readonly files: Map<string, string>;
  readonly commands: Command[];
  readonly logged: LogEntry[];
}

export interface FakeMachine {
  readonly files?: Readonly<Record<string, string>>;
  /** Installed programs. */
  readonly programs?: readonly string[];
  /** What a program answers; by default it ends well and says nothing. */
  readonly answer?: (command: Command, host: FakeHost) => Partial<Output>;
  readonly root?: boolean;
  readonly now?: number;
}

export function fakeHost({ files = {}, programs = [], answer = () => ({}), root = true, now = 1_800_000_000 }: FakeMachine = {}): FakeHost {
  const tree = new Map(Object.entries(files));
  const isFolder = (path: string) => [...tree.keys()].some((file) => file.startsWith(`${path}/`));
  const host: FakeHost = {
    files: tree,
    commands: [],
    logged: [],
    run: (command) => {
      host.commands.push(command);
      return { status: 0, stdout: '', stderr: '', ...answer(command, host) };
    },
    has: (program) => programs.includes(program),
    read: (path) => tree.get(path),
    list: (folder) => [
      ...new Set(
        [...tree.keys()].filter((file) => file.startsWith(`${folder}/`)).map((file) => file.slice(folder.length + 1).split('/')[0] ?? ''),
      ),
    ],
    exists: (path) => tree.has(path) || isFolder(path),
    write: (path, text) => {
      tree.set(path, text);
    },
    remove: (path) => {
      tree.delete(path);
    },
    exclusively: (work) => work(),
    log: (entry) => {
      host.logged.push(entry);
    },
    logLevel: () => undefined,
    now: () => now,
    mayChangeRules: () => root,
  };
  return host;
}
