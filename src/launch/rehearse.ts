import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { PATHS, PROGRAM_FOLDERS } from '../host/paths.ts';
import { NODE_FLAG } from './interpreter.ts';

const REHEARSAL_MILLISECONDS = 20_000;

/**
 * Isolates the run: its own network, memory over every folder that hooks read or write, and an
 * empty /etc/hosts. A lock that knows no names would remove those of the machine's own file.
 */
const FOLDERS = [PATHS.state, PATHS.runtime, PATHS.log, PATHS.settings].map(dirname);
/** Lies in a folder that only root can write: hooks trust no other. */
const NO_NAMES = `${dirname(PATHS.runtime)}/no-names`;
const STAGE = [
  'umask 022',
  `for folder in ${FOLDERS.join(' ')}; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done`,
  `: >${NO_NAMES}; mount --bind ${NO_NAMES} ${PATHS.hosts}`,
  'exec "$@"',
].join('; ');

/** Paths of the interpreter, of the installed rehearsal.ts, and of the hooks' program. */
export interface Rehearsal {
  readonly node: string;
  readonly rehearsal: string;
  readonly program: string;
}

/** The code caches, by the hooks' backend. */
export type Rehearsed = ReadonlyMap<string, Buffer>;

/**
 * Makes the code caches of the hooks' program for this interpreter, or returns why there are none.
 * Runs the hooks in a network and a view of the files that end with the run.
 */
export function rehearse({
  node,
  rehearsal,
  program,
}: Rehearsal): Rehearsed | { readonly why: string } {
  const words = [
    node,
    NODE_FLAG,
    rehearsal,
    program,
    ...['net', 'mnt'].map((space) => readlinkSync(`/proc/self/ns/${space}`)),
  ];
  const { status, stdout, stderr, error } = spawnSync(
    'unshare',
    ['--net', '--mount', '--propagation', 'private', '--', 'sh', '-euc', STAGE, 'sh', ...words],
    {
      cwd: '/',
      env: { PATH: PROGRAM_FOLDERS.join(':'), LC_ALL: 'C' },
      timeout: REHEARSAL_MILLISECONDS,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
      encoding: 'latin1',
    },
  );
  if (status === 0)
    return new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([backend = '', data = '']) => [backend, Buffer.from(data, 'base64')]),
    );
  return { why: error?.message ?? stderr.trim().split('\n').at(-1) ?? '' };
}
