import { spawnSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { KillswitchError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import { errno } from './errno.ts';
import { files } from './files-error.ts';
import { isLockAt, openLockDoor } from './lock-door.ts';
import { PATHS } from './paths.ts';
import type { Processes } from './processes.ts';
import type { Locate } from './run-program.ts';

/**
 * Locks an open file until it is closed, by flock(1), which inherits it. Returns the exit status.
 */
export function flocked(
  flock: string,
  args: readonly string[],
  descriptor: number,
  { timeLeft, turn }: Deadline,
): { readonly status: number | null; readonly error?: Error | undefined } {
  return spawnSync(flock, [...args, '3'], {
    cwd: '/',
    env: {},
    // As long as flock's own wait.
    timeout: timeLeft(turn),
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
  });
}

/**
 * Waits for the lock on an open file.
 * @throws KillswitchError BUSY when somebody else keeps it, COMMAND when nobody can ask.
 */
function awaitLock(flock: string, descriptor: number, deadline: Deadline): void {
  // flock(1) locks the open file that it inherits, and so for this process. The lock stays when
  // flock has ended, and goes when this process ends in any way. execa passes no descriptors above
  // 2 to a synchronous child, hence node:child_process.
  // Waits for its turn as long as the deadline allows, and leaves a fifth of it for the work.
  const seconds = Math.ceil(deadline.timeLeft(deadline.turn) / 1250);
  const { status, error } = flocked(flock, ['-w', String(seconds)], descriptor, deadline);
  if (error !== undefined && errno(error) !== 'ETIMEDOUT')
    throw new KillswitchError(
      'COMMAND',
      `flock could not be started: ${error.message}`,
      'Set TasksMax of the service to 20: OpenVPN and a hook need ten tasks.',
    );
  if (status !== 0)
    throw new KillswitchError(
      'BUSY',
      `another ovpn-killswitch has held ${PATHS.lock} for ${seconds} s`,
      `Find the process that holds it: fuser -v ${PATHS.lock}`,
    );
}

/** Runs `work` while it holds the lock; without flock(1) it runs at once. */
export function lockHolder(locate: Locate, deadline: Deadline): Processes['exclusively'] {
  return (work) => {
    for (;;) {
      const descriptor = files('open', PATHS.lock, () => openLockDoor(PATHS.lock));
      try {
        const flock = locate('flock');
        if (flock === undefined) return work();
        awaitLock(flock, descriptor, deadline);
        // Another program, such as "recover" or "uninstall", may have replaced the file during
        // the wait.
        if (files('look at', PATHS.lock, () => isLockAt(PATHS.lock, descriptor))) return work();
      } finally {
        closeSync(descriptor);
      }
    }
  };
}
