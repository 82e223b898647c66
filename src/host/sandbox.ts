import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { PREFIX, PROGRAM_FOLDERS } from './paths.ts';

/** The result of a run inside the sandbox. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Milliseconds. For what hangs: on a busy machine `recover` alone took 36 s. */
const ENDED_BY = 100_000;

export interface RunOptions {
  /**
   * The network namespace inside the sandbox, made with `ip netns add`; by default the sandbox's
   * own.
   */
  readonly at?: string;
  readonly stdin?: string;
  /** Added to PATH, LC_ALL and TZ; `only` replaces them. */
  readonly env?: Readonly<Record<string, string>>;
  readonly only?: Readonly<Record<string, string>>;
  /** After so long it is ended. */
  readonly milliseconds?: number;
}

/**
 * A private machine: network, mount, process, IPC and host name spaces of its own. Memory covers
 * /etc, /var and the prefix of our programs, and /run is empty. It ends when it is closed, or when
 * this process ends.
 */
export interface Sandbox {
  /** The process that holds it, by its number on this machine. */
  readonly pid: number;
  /** Whether it has users besides root. It has none in a user namespace that could map only one. */
  readonly hasOtherUsers: boolean;
  run(argv: readonly string[], options?: RunOptions): Ran;
  /** Runs without blocking this process. */
  ask(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Starts a program and leaves it running. Its output is piped. It ends with the sandbox. */
  start(
    argv: readonly string[],
    options?: Omit<RunOptions, 'stdin' | 'milliseconds'>,
  ): ChildProcess;
  close(): void;
}

/** The parts of a sandbox. */
export interface SandboxPlan {
  /**
   * A folder with another system's files, covered with memory, in place of this machine's; needs
   * root.
   */
  readonly root?: string;
  /** Files and folders of this machine that appear there at the same place, for reading. */
  readonly show?: readonly string[];
}

/** Takes the plan as arguments: the root, or an empty one; then the paths to show. */
const SETUP = `
set -e
umask 022
mount -t tmpfs tmpfs /mnt
if [ -n "$1" ]; then
  mkdir -p /mnt/root /mnt/upper /mnt/work
  mount -t overlay overlay -o lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
  mount -t proc proc /mnt/root/proc
  mount -t sysfs sysfs /mnt/root/sys
  mount --rbind /dev /mnt/root/dev
  shift
  for path; do
    if [ -d "$path" ]; then mkdir -p "/mnt/root$path"; else mkdir -p "/mnt/root\${path%/*}"; touch "/mnt/root$path"; fi
    mount --bind "$path" "/mnt/root$path"
  done
  cd /mnt/root
  mkdir -p .machine
  pivot_root . .machine
  umount -l /.machine
  rmdir /.machine
  cd /
else
  # A user namespace with one user: the machine's folders belong to nobody there. Those that must take new files are ours from the start.
  mkdir -p /mnt/etc/upper/openvpn /mnt${PREFIX}/upper/lib /mnt${PREFIX}/upper/sbin /mnt/var/upper/lib /mnt/var/upper/log
  for folder in etc ${PREFIX.slice(1)} var; do
    mkdir -p /mnt/$folder/upper /mnt/$folder/work
    mount -t overlay overlay -o lowerdir=/$folder,upperdir=/mnt/$folder/upper,workdir=/mnt/$folder/work /$folder
  done
fi
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock
ip link set lo up
echo ready
while read -r _; do :; done
`;

/** The name spaces of a sandbox, as unshare(1) and nsenter(1) name them. */
export const SPACES: readonly string[] = ['--mount', '--net', '--pid', '--ipc', '--uts'];

/** Says why a sandbox cannot be made here; undefined when it can. */
export function sandboxObstacle(): string | undefined {
  const { status, stderr, error } = spawnSync(
    'unshare',
    [...userSpace(), ...SPACES, '--fork', '--mount-proc', 'true'],
    {
      encoding: 'utf8',
    },
  );
  // A missing program leaves no stderr either.
  return status === 0
    ? undefined
    : `namespaces cannot be made here: ${error?.message ?? stderr.trim()}`;
}

/**
 * Without root, returns the options for a user namespace: newuidmap(1) maps all of /etc/subuid's
 * users, else it has only root.
 */
function userSpace(): readonly string[] {
  if (process.getuid?.() === 0) return [];
  const all = ['--user', '--map-root-user', '--map-auto'];
  return spawnSync('unshare', [...all, 'true']).status === 0 ? all : ['--user', '--map-root-user'];
}

/**
 * @throws Error when the process shares the network namespace of this process or of the machine's
 * first one.
 */
export function assertPrivate(pid: number): void {
  const of = (who: string | number) => {
    try {
      return readlinkSync(`/proc/${who}/ns/net`);
    } catch {
      return `unknown ${who}`;
    }
  };
  const own = of(pid);
  if (own.startsWith('unknown') || own === of('self') || own === of(1))
    throw new Error('refused: this is not a network namespace of its own');
}

function environment({ env, only }: RunOptions): Record<string, string> {
  return { ...(only ?? { PATH: PROGRAM_FOLDERS.join(':'), LC_ALL: 'C', TZ: 'UTC', ...env }) };
}

/** Returns the first process of new name spaces: the only child of unshare(1), or of nsenter(1). */
export function childOf(pid: number): number {
  const child = Number(
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0],
  );
  if (!Number.isInteger(child) || child <= 0) throw new Error('the sandbox has no first process');
  return child;
}

/**
 * Returns the command that enters the name spaces of a process. `spaces` are options of nsenter(1).
 * A program started by it ends with that process.
 */
export function entrance(
  pid: number,
  spaces: readonly string[],
): Pick<Sandbox, 'run' | 'ask' | 'start'> {
  const enter = ({ at }: RunOptions, argv: readonly string[]) => [
    // Enters its root and folder as well: in a chroot those of the mount namespace are another
    // system's.
    ...['-t', String(pid), ...spaces, '--root', '--wd', '--'],
    ...(at === undefined ? [] : ['nsenter', `--net=/run/netns/${at}`, '--']),
    ...argv,
  ];
  return {
    run: (argv, options = {}) => {
      assertPrivate(pid);
      const { status, stdout, stderr } = spawnSync('nsenter', enter(options, argv), {
        encoding: 'utf8',
        env: environment(options),
        timeout: options.milliseconds ?? ENDED_BY,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024 * 1024,
        ...(options.stdin === undefined ? {} : { input: options.stdin }),
      });
      return { status, stdout: stdout ?? '', stderr: stderr ?? '' };
    },
    ask: (argv, options = {}) => {
      assertPrivate(pid);
      const child = spawn('nsenter', enter(options, argv), {
        env: environment(options),
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
        timeout: options.milliseconds ?? ENDED_BY,
        killSignal: 'SIGKILL',
      });
      const said = { stdout: '', stderr: '' };
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        said.stdout += chunk;
      });
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
        said.stderr += chunk;
      });
      // A program may end without reading its input.
      child.stdin.on('error', () => undefined).end(options.stdin ?? '');
      return new Promise((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (status) => resolve({ status, ...said }));
      });
    },
    start: (argv, options = {}) => {
      assertPrivate(pid);
      return spawn('nsenter', enter(options, argv), {
        env: environment(options),
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
    },
  };
}

/**
 * Makes a sandbox. Its processes are in sessions of their own: Ctrl-C in a terminal reaches only
 * this process, which then closes the sandbox in order.
 * @throws Error when it cannot be made; call `sandboxObstacle` first.
 */
export async function openSandbox({ root = '', show = [] }: SandboxPlan = {}): Promise<Sandbox> {
  const user = userSpace();
  const holder = spawn(
    'unshare',
    [
      ...user,
      ...SPACES,
      '--fork',
      '--mount-proc',
      '--propagation',
      'private',
      '--kill-child=SIGKILL',
      'sh',
      '-c',
      SETUP,
      'sh',
      root,
      ...show,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], detached: true },
  );
  let said = '';
  holder.stderr.on('data', (chunk) => {
    said += String(chunk);
  });
  await Promise.race([
    once(holder.stdout, 'data'),
    once(holder, 'exit').then(() => Promise.reject(new Error(`no sandbox: ${said.trim()}`))),
  ]);
  const pid = childOf(holder.pid ?? 0);
  assertPrivate(pid);
  return {
    pid,
    hasOtherUsers: user.length !== 2,
    ...entrance(pid, [...(user.length > 0 ? ['--user', '--preserve-credentials'] : []), ...SPACES]),
    close: () => {
      holder.stdin.end();
      holder.kill('SIGKILL');
    },
  };
}
