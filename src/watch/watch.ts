import { asKillswitchError, explainError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import type { Listen, Listener } from '../host/listener.ts';
import type { Journal } from '../host/log-entry.ts';
import { PATHS } from '../host/paths.ts';
import type { Processes } from '../host/processes.ts';
import { startOf } from '../machine/daemon.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { openListeners } from './change-listeners.ts';
import { guardResolvers } from './guard.ts';
import { type HeardAuthors, heardAuthors } from './heard-authors.ts';
import { installedProgram } from './installed-program.ts';
import { lookSchedule } from './look-schedule.ts';
import { PACE } from './pace.ts';
import { quota } from './quota.ts';
import { rulesGuard } from './rules-guard.ts';

/** Tells whether "nft monitor" reports changes of iptables rules: not those of iptables-legacy. */
function toldByNft(processes: Processes): boolean {
  return (
    processes.has('nft') &&
    processes.run({ program: 'iptables-save', args: ['--version'] }).stdout.includes('nf_tables')
  );
}

function sayFailed(journal: Journal, thrown: unknown, heard: HeardAuthors): void {
  const error = asKillswitchError(thrown);
  journal.log({
    level: 'error',
    event: 'failed',
    message: explainError(error).join(' '),
    fields: { code: error.code, authors: heard.list() },
  });
}

/** Updates the resolvers after events that may have changed them, and from time to time. */
interface ResolversGuard {
  /** Call when an interface has changed since the last look. */
  linkChanged(): void;
  followAfter(restored: boolean): void;
}

function resolversGuard(host: Host): ResolversGuard {
  let linksChanged = false;
  let seen = Number.NEGATIVE_INFINITY;
  return {
    linkChanged: () => {
      linksChanged = true;
    },
    followAfter: (restored) => {
      const now = performance.now();
      if (!restored && !linksChanged && now - seen < PACE.idle) return;
      linksChanged = false;
      seen = now;
      guardResolvers(host);
    },
  };
}

/** Writes the pid of the watcher where `status` finds it, and the program that it runs. */
function writeWatcher(files: Files, pid: number, program: string | undefined): void {
  const json = { version: 1, pid, start: startOf(files, pid) ?? null, program: program ?? null };
  files.write(PATHS.watch, `${JSON.stringify(json)}\n`);
}

/**
 * Watches until it is stopped. Looks at the rules whenever packet filters or interfaces change, and
 * from time to time without an event. Fixes what differs, and logs who changed rules just before.
 * However much changes, there is a rest between two looks.
 */
export function watch(unbounded: Host, listen: Listen, pid: number): Listener {
  // The quota also covers messages logged while rules are fixed.
  const host: Host = { ...unbounded, log: quota(unbounded) };
  // Before anything else: an upgrade may replace it while this process starts.
  const program = installedProgram(host);
  const told = toldByNft(host);
  const heard = heardAuthors();
  const guardRules = rulesGuard(host, heard);
  const resolvers = resolversGuard(host);
  const untold = () => !told && readLockRecord(host)?.backend === 'iptables';
  const { lookIn, stop } = lookSchedule(
    () => {
      const kind = guardRules();
      if (kind === 'busy') return { rest: 0, within: PACE.busy };
      resolvers.followAfter(kind === 'restored');
      return { rest: PACE.rest, within: listeners.hear() && !untold() ? PACE.idle : PACE.poll };
    },
    (thrown) => sayFailed(host, thrown, heard),
  );
  const listeners = openListeners(host, listen, {
    changed: (line) => {
      heard.hear(line);
      lookIn(PACE.change);
    },
    linkChanged: () => {
      resolvers.linkChanged();
      lookIn(PACE.link);
    },
    deaf: () => lookIn(PACE.change),
  });
  writeWatcher(host, pid, program);
  const how = untold()
    ? 'nothing reports changes to iptables-legacy: it is polled twice a second'
    : 'told by "nft monitor"';
  host.log({ level: 'info', event: 'watching', message: `watching the rules (${how})` });
  lookIn(0);
  return {
    stop: () => {
      stop();
      listeners.stop();
      host.remove(PATHS.watch);
    },
  };
}
