import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Deadline } from './deadline.ts';
import { files } from './files-error.ts';
import { flocked } from './flock.ts';
import { openLockDoor } from './lock-door.ts';
import { PATHS } from './paths.ts';
import type { Processes } from './processes.ts';
import type { Locate } from './run-program.ts';

/**
 * Time limit of systemd, which answers at once, or is busy with a job that may wait for OpenVPN
 * itself.
 */
const SYSTEMD_MILLISECONDS = 2_000;
/**
 * Waits until the machine has run for $1 seconds, sleep included: /proc/uptime is CLOCK_BOOTTIME
 * (fs/proc/uptime.c). The clocks of sleep(1) and of systemd's timers stand still while it sleeps.
 */
const WAIT_FOR_UPTIME = `end=$1; shift
while read -r now rest </proc/uptime && left=$((end - \${now%.*})) && [ "$left" -gt 0 ]; do
  sleep "$((left < 2 ? left : 2))"
done
exec "$@"`;

/**
 * Has systemd run a command as a unit of its own, where systemd runs the machine. Inside
 * OpenVPN's unit it would use up tasks that the next hook needs (TasksMax), and end when OpenVPN
 * is stopped.
 */
function runsAsUnit(
  locate: Locate,
  { timeLeft }: Deadline,
  command: readonly string[],
  options: readonly string[] = [],
): boolean {
  const systemdRun = existsSync(PATHS.systemd) ? locate('systemd-run') : undefined;
  if (systemdRun === undefined) return false;
  const { status } = spawnSync(
    systemdRun,
    [
      '--quiet',
      '--collect',
      '--no-block',
      ...options,
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
}

/**
 * Starts programs of ours that outlive this process; `failed` is told when a timer could not be
 * started.
 */
export function starter(
  locate: Locate,
  deadline: Deadline,
  failed: (error: Error) => void,
): Pick<Processes, 'startAfterwards' | 'startIn'> {
  return {
    startAfterwards: (path, args) => {
      const flock = locate('flock');
      if (flock === undefined) return;
      files('open', PATHS.refreshLock, () => {
        // Held until this process ends. One flock(1) waits for that: a single task, where another
        // Node would add five more under TasksMax.
        const { status } = flocked(flock, ['-n'], openLockDoor(PATHS.refreshLock), deadline);
        // Another refresh is under way.
        if (status !== 0) return;
        const command = [flock, '-w', '60', PATHS.refreshLock, path, ...args];
        if (runsAsUnit(locate, deadline, command)) return;
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
        runsAsUnit(locate, deadline, wait, [
          `--description=ovpn-killswitch ${args.join(' ')} at ${end} s since boot`,
          '--property=Restart=on-abnormal',
        ])
      )
        return;
      spawn('/bin/sh', wait.slice(1), {
        cwd: '/',
        env: {},
        detached: true,
        stdio: 'ignore',
      })
        .on('error', failed)
        .unref();
    },
  };
}
