import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { networkInterfaces, constants as system } from 'node:os';
import { dirname, join } from 'node:path';
import { execaSync, type SyncOptions } from 'execa';
import { EXIT, KillswitchError } from '../errors.ts';
import type { LogLevel } from '../policy/settings.ts';
import type { Command, Output } from './command.ts';
import { errno } from './errno.ts';
import type { Host } from './host.ts';
import { isLockAt, openLockDoor } from './lock-door.ts';
import { openLog, type Say } from './log.ts';
import { paceOf } from './pace.ts';
import { PATHS, PROGRAM_FOLDERS } from './paths.ts';
import { ownFolder } from './program-files.ts';
import { programPath } from './program-path.ts';
import { listDoor, placeDoor, readDoor } from './read-door.ts';
import { removeDoor } from './remove-door.ts';
import { readAnswers } from './resolver-answers.ts';
import { rewriteDoor } from './rewrite-door.ts';
import { writeDoor } from './write-door.ts';

/** Time limit of a child. */
const CHILD_MILLISECONDS = 10_000;
/** Time limit of the recover script, which waits for a lock and runs many programs. */
const SCRIPT_MILLISECONDS = 60_000;
/**
 * Time limit of systemd, which answers at once, or is busy with a job that may wait for OpenVPN
 * itself.
 */
const SYSTEMD_MILLISECONDS = 2_000;
/** Limit of files in one run whose attributes a process of its own copies. */
const MOST_COPIES = 50;
/**
 * Waits until the machine has run for $1 seconds, sleep included: /proc/uptime is CLOCK_BOOTTIME
 * (fs/proc/uptime.c). The clocks of sleep(1) and of systemd's timers stand still while it sleeps.
 */
const WAIT_FOR_UPTIME = `end=$1; shift
while read -r now rest </proc/uptime && left=$((end - \${now%.*})) && [ "$left" -gt 0 ]; do
  sleep "$((left < 2 ? left : 2))"
done
exec "$@"`;
/** CAP_NET_ADMIN (linux/capability.h). */
const NET_ADMIN = 12n;

/**
 * Returns milliseconds of a clock that no program sets. `performance` does the same, but its first
 * use loads a module.
 */
function monotonic(): number {
  return process.uptime() * 1000;
}

/** Limits of one run. */
export interface Limits {
  /** The hook's or command's name, for the log. */
  readonly name: string;
  /**
   * Milliseconds that the whole process may take on a usual machine; see `paceOf`. OpenVPN stands
   * still while a hook runs.
   */
  readonly milliseconds: number;
  /** Least important level that is printed on stderr. */
  readonly shown: LogLevel;
  /** Prints one line on stderr; by default unchanged. */
  readonly say?: Say;
}

function files<Result>(what: string, path: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof KillswitchError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KillswitchError(
      'FILES',
      `could not ${what} ${path}`,
      `Check that ${dirname(path)} is there, has room and belongs to root.`,
      [why],
      { cause },
    );
  }
}

function unlessMissing<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (thrown) {
    if (errno(thrown) === 'ENOENT' || errno(thrown) === 'ENOTDIR') return undefined;
    throw thrown;
  }
}

/**
 * Paths of files that the kernel itself makes: no account can put a file there. Excludes the
 * entries through which a path leads out again.
 */
const KERNEL = /^\/(proc|sys)(\/|$)(?!.*\/(cwd|root|exe|fd|map_files|task|\.\.)(\/|$))/;

/** Folders whose files only root has made, each with one name. */
const OWN = [`${PATHS.runtime}/`, `${PATHS.state}/`] as const;

/** Bytes: more than any tool here prints. */
const OUTPUT_ROOM = 16 * 1024 * 1024;
/**
 * O_TMPFILE on top of O_DIRECTORY: one number on every architecture that Node runs on
 * (linux/asm-generic/fcntl.h). Node has no name for it.
 */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** execa takes any descriptor, but its types name only the first ones. */
type Descriptor = Extract<SyncOptions['stdout'], number>;
type InputDescriptor = Extract<SyncOptions['stdin'], number>;

/**
 * Opens a file without a name for a child's output; undefined where that is impossible. Through a
 * pipe Node would wake up for each of the hundreds of words that nft writes one by one.
 */
function outputFile(): Descriptor | undefined {
  try {
    // A listing that a full disk cuts off would look like one with fewer rules.
    const { bavail, bsize } = statfsSync(dirname(PATHS.runtime));
    if (bavail * bsize < OUTPUT_ROOM) return undefined;
    return openSync(dirname(PATHS.runtime), O_TMPFILE | constants.O_RDWR, 0o600) as Descriptor;
  } catch {
    return undefined;
  }
}

/**
 * Opens a file without a name with this text, as a child's stdin; undefined where that is
 * impossible. node:child_process would pass a socket, which nft before 0.9.9 cannot open as
 * /dev/stdin.
 */
function inputFile(text: string): InputDescriptor | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(dirname(PATHS.runtime), O_TMPFILE | constants.O_RDWR, 0o600);
    const bytes = Buffer.from(text);
    // Written at an offset (pwrite(2)): the file position, which the child shares, stays at the
    // beginning.
    for (let written = 0; written < bytes.length; )
      written += writeSync(descriptor, bytes, written, bytes.length - written, written);
    return descriptor as InputDescriptor;
  } catch {
    // The file system has no such files, or no room.
    if (descriptor !== undefined) closeSync(descriptor);
    return undefined;
  }
}

/** Returns everything written to it, and closes it. */
function takeText(descriptor: number): string {
  try {
    const bytes = Buffer.alloc(fstatSync(descriptor).size);
    // The child's writes have moved the shared position to the end.
    return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** The real system. */
export function linuxHost({ name, milliseconds, shown, say }: Limits): Host {
  // OpenVPN's unit may set UMask=0077: hooks that run as another user must still read files of
  // root's hooks.
  const inheritedUmask = process.umask(0o022);
  const pace = paceOf(monotonic());
  const limit = milliseconds * pace;
  let deadline = monotonic() + limit;
  // A program without a deadline waits for its turn no longer than for a child.
  const turn = Number.isFinite(limit) ? limit : CHILD_MILLISECONDS * pace;
  const log = openLog(name, shown, say);
  const found = new Map<string, string>();

  const locate = (program: string): string | undefined => {
    const path = found.get(program) ?? programPath(program);
    // Does not cache misses: the tool may be installed while "watch" runs.
    if (path !== undefined) found.set(program, path);
    return path;
  };

  const timeLeft = (most: number = CHILD_MILLISECONDS * pace): number => {
    const left = deadline - monotonic();
    if (left < 1)
      throw new KillswitchError(
        'DEADLINE',
        `${name} took longer than ${Math.round(limit / 1000)} s`,
        'Look for a program that holds the firewall: run "ovpn-killswitch status".',
      );
    // node:child_process takes only whole milliseconds.
    return Math.floor(Math.min(most, left));
  };

  const child = ({
    program,
    args,
    stdin: input,
    milliseconds = program === 'sh' ? SCRIPT_MILLISECONDS : CHILD_MILLISECONDS,
  }: Command): Output => {
    const path = locate(program);
    if (path === undefined)
      return { status: null, stdout: '', stderr: `${program} is not installed` };
    const given = input === undefined ? undefined : inputFile(input);
    const [out, err] = [outputFile(), outputFile()];
    const result = execaSync(path, args, {
      cwd: '/',
      env: { PATH: PROGRAM_FOLDERS.join(':'), LC_ALL: 'C', TZ: 'UTC' },
      extendEnv: false,
      reject: false,
      stripFinalNewline: false,
      timeout: timeLeft(milliseconds * pace),
      killSignal: 'SIGKILL',
      stdin: given ?? (input === undefined ? 'ignore' : 'pipe'),
      stdout: out ?? 'pipe',
      stderr: err ?? 'pipe',
      ...(input === undefined || given !== undefined ? {} : { input }),
    });
    if (given !== undefined) closeSync(given);
    const stdout = out === undefined ? String(result.stdout ?? '') : takeText(out);
    const stderr = err === undefined ? String(result.stderr ?? '') : takeText(err);
    const stopped = result.timedOut
      ? `${program} was stopped after ${Math.round(result.durationMs / 1000)} s`
      : '';
    const failure =
      result.exitCode === undefined && !result.timedOut ? (result.originalMessage ?? '') : '';
    return {
      status: result.exitCode ?? null,
      stdout,
      stderr: [stderr, stopped, failure].filter((part) => part !== '').join('\n'),
    };
  };

  /**
   * Has systemd run a command as a unit of its own, where systemd runs the machine. Inside
   * OpenVPN's unit it would use up tasks that the next hook needs (TasksMax), and end when OpenVPN
   * is stopped.
   */
  const runsAsUnit = (command: readonly string[], ...options: readonly string[]): boolean => {
    const systemdRun = existsSync(PATHS.systemd) ? locate('systemd-run') : undefined;
    if (systemdRun === undefined) return false;
    const { status } = spawnSync(
      systemdRun,
      [
        '--quiet',
        '--collect',
        ...(options.length > 0 ? options : ['--no-block']),
        '--',
        // systemd expands variables in the command (systemd.service(5), COMMAND LINES).
        ...command.map((word) => word.replaceAll('$', '$$$$')),
      ],
      {
        cwd: '/',
        env: {},
        timeout: timeLeft(SYSTEMD_MILLISECONDS),
        killSignal: 'SIGKILL',
        stdio: 'ignore',
      },
    );
    return status === 0;
  };

  const bytes = (path: string): Buffer | undefined =>
    files('read', path, () => {
      if (KERNEL.test(path)) return unlessMissing(() => readFileSync(path));
      const isOwn = OWN.some((folder) => path.startsWith(folder));
      return readDoor(path, 'root', timeLeft, isOwn);
    });

  /**
   * Uses cp(1) of GNU coreutils: Node has no calls for attributes. Any other cp fails with an
   * error.
   */
  let copied = 0;
  const keepAttributes = (from: number, to: number): boolean => {
    // Thousands of profiles are written in place instead, which also keeps the attributes.
    if (++copied > MOST_COPIES) return false;
    const [source, target] = [from, to].map(
      (descriptor) => `/proc/${process.pid}/fd/${descriptor}`,
    );
    const args = ['--attributes-only', '--preserve=all,xattr', '--', source ?? '', target ?? ''];
    return child({ program: 'cp', args }).status === 0;
  };

  /**
   * Locks an open file until it is closed, by flock(1), which inherits it. Returns the exit status.
   */
  const flocked = (flock: string, args: readonly string[], descriptor: number) =>
    spawnSync(flock, [...args, '3'], {
      cwd: '/',
      env: {},
      // As long as flock's own wait.
      timeout: timeLeft(turn),
      stdio: ['ignore', 'ignore', 'ignore', descriptor],
    });

  return {
    run: child,
    has: (program) => locate(program) !== undefined,
    exists: existsSync,
    owner: (path) =>
      files('look at', path, () => {
        const found = unlessMissing(() => lstatSync(path));
        if (found === undefined) return undefined;
        const kind = found.isFile()
          ? 'file'
          : found.isDirectory()
            ? 'folder'
            : found.isSymbolicLink()
              ? 'link'
              : 'other';
        return { uid: found.uid, mode: found.mode & 0o7777, kind };
      }),
    place: (path) => files('follow', path, () => placeDoor(path)),
    read: (path) => bytes(path)?.toString('utf8'),
    readBytes: bytes,
    readUntrusted: (path) => files('read', path, () => readDoor(path, 'anybody', timeLeft)),
    list: (folder) =>
      files('list', folder, () =>
        KERNEL.test(folder) ? (unlessMissing(() => readdirSync(folder)) ?? []) : listDoor(folder),
      ),
    write: (path, text, mode = 0o644) => files('write', path, () => writeDoor(path, text, mode)),
    rewrite: (path, text) => files('rewrite', path, () => rewriteDoor(path, text, keepAttributes)),
    remove: (path) => files('remove', path, () => removeDoor(path)),
    exclusively: (work) => {
      for (;;) {
        const descriptor = files('open', PATHS.lock, () => openLockDoor(PATHS.lock));
        try {
          const flock = locate('flock');
          if (flock === undefined) return work();
          // flock(1) locks the open file that it inherits, and so for this process. The lock stays
          // when flock has ended, and goes when this process ends in any way. execa passes no
          // descriptors above 2 to a synchronous child, hence node:child_process.
          // Waits for its turn as long as the deadline allows, and leaves a fifth of it for the
          // work.
          const seconds = Math.ceil(timeLeft(turn) / 1250);
          const { status, error } = flocked(flock, ['-w', String(seconds)], descriptor);
          if (error !== undefined && errno(error) !== 'ETIMEDOUT')
            throw new KillswitchError(
              'COMMAND',
              `flock could not be started: ${error.message}`,
              'Look at the limits of the service: OpenVPN and a hook need ten tasks (TasksMax).',
            );
          if (status !== 0)
            throw new KillswitchError(
              'BUSY',
              `another ovpn-killswitch has held ${PATHS.lock} for ${seconds} s`,
              `Wait for it, or look for it: fuser -v ${PATHS.lock}`,
            );
          // Another program, such as "recover" or "uninstall", may have replaced the file during
          // the wait.
          if (files('look at', PATHS.lock, () => isLockAt(PATHS.lock, descriptor))) return work();
        } finally {
          closeSync(descriptor);
        }
      }
    },
    resolve: (names, servers, seconds, sources = []) => {
      if (names.length === 0) return new Map();
      // A process of its own: only Node's asynchronous resolver ignores /etc/hosts, which holds our
      // pins.
      const program = join(ownFolder(), 'resolver.js');
      const { stdout } = execaSync(process.execPath, ['--v8-pool-size=0', program], {
        cwd: '/',
        env: {},
        extendEnv: false,
        reject: false,
        timeout: Math.min(timeLeft(), (seconds + 2) * 1000),
        killSignal: 'SIGKILL',
        input: JSON.stringify({ names, servers: servers ?? null, seconds, sources }),
      });
      return readAnswers(String(stdout ?? ''));
    },
    callInTurn: ([program = '', ...args], env, account) => {
      const ours = process.umask(inheritedUmask);
      // execve(2), by which OpenVPN would start it, looks for a bare name only in this folder.
      const path = program.includes('/') ? program : `./${program}`;
      const begun = monotonic();
      const { status, signal, error } = spawnSync(path, args, {
        argv0: program,
        env,
        stdio: 'inherit',
        ...(account !== undefined && { uid: account, gid: account }),
      });
      process.umask(ours);
      // Its time does not count: extends the deadline for the work after it.
      deadline += monotonic() - begun;
      if (error !== undefined)
        return { status: errno(error) === 'ENOENT' ? 127 : 126, why: error.message };
      if (signal !== null)
        return { status: 128 + system.signals[signal], why: `it was stopped by ${signal}` };
      return { status: status ?? EXIT.failed };
    },
    startAfterwards: (path, args) => {
      const flock = locate('flock');
      if (flock === undefined) return;
      files('open', PATHS.refreshLock, () => {
        // Held until this process ends. One flock(1) waits for that: a single task, where another
        // Node would add five more under TasksMax.
        const { status } = flocked(flock, ['-n'], openLockDoor(PATHS.refreshLock));
        // Another refresh is under way.
        if (status !== 0) return;
        const command = [flock, '-w', '60', PATHS.refreshLock, path, ...args];
        if (runsAsUnit(command)) return;
        spawn(flock, command.slice(1), { cwd: '/', env: {}, detached: true, stdio: 'ignore' })
          .on('error', () => undefined)
          .unref();
      });
    },
    startIn: (seconds, path, args) => {
      const uptime = Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) || 0;
      const end = String(Math.ceil(uptime + seconds));
      const wait = ['/bin/sh', '-c', WAIT_FOR_UPTIME, 'sh', end, path, ...args];
      if (
        runsAsUnit(
          wait,
          '--no-block',
          `--description=ovpn-killswitch ${args.join(' ')} at ${end} s since boot`,
          '--property=Restart=on-abnormal',
        )
      )
        return;
      spawn('/bin/sh', wait.slice(1), {
        cwd: '/',
        env: {},
        detached: true,
        stdio: 'ignore',
      })
        .on('error', (error) =>
          log.write({
            level: 'error',
            event: 'timer',
            message: `the timer could not be started: ${error.message}`,
          }),
        )
        .unref();
    },
    ownAddresses: (devices) =>
      devices.flatMap((device) =>
        (networkInterfaces()[device] ?? [])
          .map(({ address }) => address)
          .filter((each) => !each.startsWith('fe80:')),
      ),
    log: (entry) => log.write(entry),
    logLevel: (level) => log.level(level),
    now: () => Math.floor(Date.now() / 1000),
    uid: () => process.geteuid?.() ?? Number.NaN,
    mayChangeRules: () => {
      const [, mask = '0'] =
        /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
      return ((BigInt(`0x${mask}`) >> NET_ADMIN) & 1n) === 1n;
    },
  };
}
