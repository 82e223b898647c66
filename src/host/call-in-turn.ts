import { spawnSync } from 'node:child_process';
import { constants as system } from 'node:os';
import { EXIT } from '../errors.ts';
import { type Deadline, monotonic } from './deadline.ts';
import { errno } from './errno.ts';
import type { Processes } from './processes.ts';

/** Runs commands in our place, under the umask that this process was started with. */
export function callerInTurn({ extend }: Deadline, umask: number): Processes['callInTurn'] {
  return ([program = '', ...args], env, account) => {
    const ours = process.umask(umask);
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
    extend(monotonic() - begun);
    if (error !== undefined)
      return { status: errno(error) === 'ENOENT' ? 127 : 126, why: error.message };
    if (signal !== null)
      return { status: 128 + system.signals[signal], why: `it was stopped by ${signal}` };
    return { status: status ?? EXIT.failed };
  };
}
