import { readFileSync } from 'node:fs';
import { callerInTurn } from './call-in-turn.ts';
import { deadlineOf, type Limits } from './deadline.ts';
import { lockHolder } from './flock.ts';
import type { Host } from './host.ts';
import { linuxFiles } from './linux-files.ts';
import { linuxNetwork } from './linux-network.ts';
import { openLog } from './log.ts';
import { locator, programRunner } from './run-program.ts';
import { starter } from './start-later.ts';

/** CAP_NET_ADMIN (linux/capability.h). */
const NET_ADMIN = 12n;

function mayChangeRules(): boolean {
  const [, mask = '0'] =
    /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return ((BigInt(`0x${mask}`) >> NET_ADMIN) & 1n) === 1n;
}

/** The real system. */
export function linuxHost(limits: Limits): Host {
  // OpenVPN's unit may set UMask=0077: hooks that run as another user must still read files of
  // root's hooks.
  const inheritedUmask = process.umask(0o022);
  const deadline = deadlineOf(limits);
  const log = openLog(limits.name, limits.shown, limits.say);
  const locate = locator();
  const run = programRunner(locate, deadline);
  const timerFailed = ({ message }: Error) =>
    log.write({
      level: 'error',
      event: 'timer',
      message: `the timer could not be started: ${message}`,
    });
  return {
    run,
    has: (program) => locate(program) !== undefined,
    ...linuxFiles(run, deadline.timeLeft),
    ...linuxNetwork(deadline.timeLeft),
    ...starter(locate, deadline, timerFailed),
    exclusively: lockHolder(locate, deadline),
    callInTurn: callerInTurn(deadline, inheritedUmask),
    log: log.write,
    logLevel: log.level,
    now: () => Math.floor(Date.now() / 1000),
    uid: () => process.geteuid?.() ?? Number.NaN,
    mayChangeRules,
  };
}
