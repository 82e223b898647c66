import { spawnSync } from 'node:child_process';
import { replaceableByOthers } from '../host/program-files.ts';

/**
 * Limits the threads: Debian's openvpn@.service allows ten tasks for OpenVPN and its hooks
 * together.
 */
export const NODE_FLAG = '--v8-pool-size=0';
/**
 * Variables that libuv and Node read. A server that pushes its peer-info sets any `UV_…` in the
 * environment of a client's hooks (openvpn ssl.c), and `UV_USE_IO_URING=1` doubles Node's threads.
 */
const UNSET = ['NODE_OPTIONS', 'UV_USE_IO_URING', 'UV_THREADPOOL_SIZE'];
const ENV = '/usr/bin/env';

/** Returns the first line for an interpreter, as env(1) of coreutils splits it. */
export function splitFirstLine(node: string): string {
  return `#!${ENV} -S ${UNSET.map((name) => `-u ${name}`).join(' ')} ${node} ${NODE_FLAG}`;
}

/**
 * Returns the first line of an installed program: this very interpreter, without the variables that
 * would change it. BusyBox's env(1) cannot split a first line, so there it names only the
 * interpreter.
 */
export function firstLine(node: string): string {
  const { status } = spawnSync(ENV, ['-S', '-u NODE_OPTIONS true'], { env: {}, stdio: 'ignore' });
  return status === 0 ? splitFirstLine(node) : `#!${node} ${NODE_FLAG}`;
}

/** Folders that a hardened OpenVPN unit shows empty (systemd.exec(5), ProtectHome=). */
const HIDDEN = ['/home/', '/root/', '/run/user/'];

/** Says why OpenVPN's hooks must not run this interpreter at its path; undefined when they may. */
export function unsafeInterpreter(path: string): string | undefined {
  if (!/^[\w./+@-]{1,100}$/.test(path))
    return 'its path cannot stand in the first line of a program';
  const hidden = HIDDEN.find((folder) => path.startsWith(folder));
  if (hidden !== undefined) return `a hardened OpenVPN unit cannot see ${hidden.slice(0, -1)}`;
  return replaceableByOthers(path);
}
