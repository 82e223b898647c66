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

/** A child that takes longer is stopped. */
const CHILD_MILLISECONDS = 10_000;
/** The recover script itself waits for a lock, and runs many programs. */
const SCRIPT_MILLISECONDS = 60_000;
/** systemd answers at once, or is busy with something that may wait for OpenVPN itself. */
const SYSTEMD_MILLISECONDS = 2_000;
/** Files of one run whose attributes are copied by a process of its own. */
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
 * Milliseconds of a clock that nobody sets. `performance` says the same, but the first use of it
 * loads a module.
 */
function monotonic(): number {
  return process.uptime() * 1000;
}

/** Limits of one run. */
export interface Limits {
  /** Who is running, for the log: a hook's or a command's name. */
  readonly name: string;
  /**
   * Milliseconds the whole process may take on a usual machine; see `paceOf`. OpenVPN stands still
   * while a hook runs.
   */
  readonly milliseconds: number;
  /** Least important level of what is said on stderr. */
  readonly shown: LogLevel;
  /** Says one line on stderr; without it the line goes there as it is. */
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
 * What the kernel itself shows: nobody can put a file there. Through these entries a path leads out
 * of it again.
 */
const KERNEL = /^\/(proc|sys)(\/|$)(?!.*\/(cwd|root|exe|fd|map_files|task|\.\.)(\/|$))/;

/** Folders whose files root alone has made, each with one name. */
const OWN = [`${PATHS.runtime}/`, `${PATHS.state}/`] as const;

/** Bytes: more than any tool here ever says. */
const OUTPUT_ROOM = 16 * 1024 * 1024;
/**
 * O_TMPFILE on top of O_DIRECTORY: one number on every architecture that Node runs on
 * (linux/asm-generic/fcntl.h). Node has no name for it.
 */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** execa takes any descriptor; its types name the first ones alone. */
type Descriptor = Extract<SyncOptions['stdout'], number>;
type InputDescriptor = Extract<SyncOptions['stdin'], number>;

/**
 * A file without a name, for what a child says; undefined where none can be had. Through a pipe
 * Node would wake up for each of the hundreds of words that nft writes one by one.
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
 * A file without a name that a child reads this text from as its stdin; undefined where none can be
 * had. Through node:child_process it would be a socket, which nft before 0.9.9 cannot open as
 * /dev/stdin.
 */
function inputFile(text: string): InputDescriptor | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(dirname(PATHS.runtime), O_TMPFILE | constants.O_RDWR, 0o600);
    const bytes = Buffer.from(text);
    // At a place of its own (pwrite(2)): the position, which the child shares, stays at the
    // beginning.
    for (let written = 0; written < bytes.length; )
      written += writeSync(descriptor, bytes, written, bytes.length - written, written);
    return descriptor as InputDescriptor;
  } catch {
    // No such files here, or no room for it.
    if (descriptor !== undefined) closeSync(descriptor);
    return undefined;
  }
}

/** All that was written to it; closes it. */
function takeText(descriptor: number): string {
  try {
    const bytes = Buffer.alloc(fstatSync(descriptor).size);
    // The child has moved the position, which both share, to the end.
    return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** The real system. */
export function linuxHost({ name, milliseconds, shown, say }: Limits): Host {
  // OpenVPN's unit may say UMask=0077: hooks that run as another user must still read what root's
  // hooks wrote.
  const inheritedUmask = process.umask(0o022);
  const pace = paceOf(monotonic());
  const limit = milliseconds * pace;
  let deadline = monotonic() + limit;
  // What runs without an end waits for its turn no longer than for a child.
  const turn = Number.isFinite(limit) ? limit : CHILD_MILLISECONDS * pace;
  const log = openLog(name, shown, say);
  const found = new Map<string, string>();

  const locate = (program: string): string | undefined => {
    const path = found.get(program) ?? programPath(program);
    // What is not there may be installed while "watch" runs.
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
    // node:child_process takes whole milliseconds alone.
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
   * Has systemd run a command as a unit of its own, where systemd runs the machine. In OpenVPN's
   * unit it would need the tasks of the next hook, which TasksMax counts, and end when OpenVPN is
   * stopped.
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
        // It expands variables in what it runs (systemd.service(5), COMMAND LINES).
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

  /** By cp(1) of GNU coreutils: Node has no calls for attributes. Others' cp ends with an error. */
  let copied = 0;
  const keepAttributes = (from: number, to: number): boolean => {
    // Thousands of profiles are written in place instead, which keeps all of it too.
    if (++copied > MOST_COPIES) return false;
    const [source, target] = [from, to].map(
      (descriptor) => `/proc/${process.pid}/fd/${descriptor}`,
    );
    const args = ['--attributes-only', '--preserve=all,xattr', '--', source ?? '', target ?? ''];
    return child({ program: 'cp', args }).status === 0;
  };

  /**
   * Locks an open file for as long as it stays open, by flock(1), which inherits it; its exit
   * status.
   */
  const flocked = (flock: string, args: readonly string[], descriptor: number) =>
    spawnSync(flock, [...args, '3'], {
      cwd: '/',
      env: {},
      // As long as flock itself waits.
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
          // flock(1) locks the open file it inherits, and so for us: the lock stays when flock has
          // ended and goes when we end, however we do. execa passes no descriptors above 2 to a
          // synchronous child, hence node:child_process.
          // In turn for as long as the deadline allows; a fifth of it is left for the work.
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
          // Somebody may have replaced it while we waited, as "recover" and "uninstall" do.
          if (files('look at', PATHS.lock, () => isLockAt(PATHS.lock, descriptor))) return work();
        } finally {
          closeSync(descriptor);
        }
      }
    },
    resolve: (names, servers, seconds, sources = []) => {
      if (names.length === 0) return new Map();
      // Its own process, because only Node's asynchronous resolver leaves /etc/hosts out, which
      // holds our pins.
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
      // execve(2), by which OpenVPN would start it, takes a bare name for a file in this folder and
      // looks nowhere else.
      const path = program.includes('/') ? program : `./${program}`;
      const begun = monotonic();
      const { status, signal, error } = spawnSync(path, args, {
        argv0: program,
        env,
        stdio: 'inherit',
        ...(account !== undefined && { uid: account, gid: account }),
      });
      process.umask(ours);
      // It has all the time it needs, and what comes after it still has its own.
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
        // Held until we end. One flock(1) waits for that, a single task where another Node would be
        // five more under TasksMax.
        const { status } = flocked(flock, ['-n'], openLockDoor(PATHS.refreshLock));
        // Somebody else's is under way.
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
