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
    extend(monotonic() - begun);
    if (error !== undefined)
      return { status: errno(error) === 'ENOENT' ? 127 : 126, why: error.message };
    if (signal !== null)
      return { status: 128 + system.signals[signal], why: `it was stopped by ${signal}` };
    return { status: status ?? EXIT.failed };
  };
}
