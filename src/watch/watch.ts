import { asKillswitchError, explainError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Listen, Listener } from '../host/listener.ts';
import { PATHS } from '../host/paths.ts';
import { startOf } from '../machine/daemon.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { openListeners } from './change-listeners.ts';
import { guardResolvers } from './guard.ts';
import { type HeardAuthors, heardAuthors } from './heard-authors.ts';
import { lookSchedule } from './look-schedule.ts';
import { PACE } from './pace.ts';
import { quota } from './quota.ts';
import { rulesGuard } from './rules-guard.ts';

/** Whether changes of iptables rules are told by "nft monitor": not those of iptables-legacy. */
function toldByNft(host: Host): boolean {
  return (
    host.has('nft') &&
    host.run({ program: 'iptables-save', args: ['--version'] }).stdout.includes('nf_tables')
  );
}

function sayFailed(host: Host, thrown: unknown, heard: HeardAuthors): void {
  const error = asKillswitchError(thrown);
  host.log({
    level: 'error',
    event: 'failed',
    message: explainError(error).join(' '),
    fields: { code: error.code, authors: heard.list() },
  });
}

/** Has the resolvers follow when something may have changed, and from time to time. */
interface ResolversGuard {
  /** An interface has changed since the last look. */
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

/** Keeps who watches where `status` finds it. */
function writeWatcher(host: Host, pid: number): void {
  const json = { version: 1, pid, start: startOf(host, pid) ?? null };
  host.write(PATHS.watch, `${JSON.stringify(json)}\n`);
}

/**
 * Watches until it is stopped: looks at the rules whenever packet filters or interfaces change, and
 * from time to time without being told; puts right what is not as it should be, and says who
 * changed rules just before. However much changes, two looks have a rest between them.
 */
export function watch(unbounded: Host, listen: Listen, pid: number): Listener {
  // Whatever is said on the way to putting rules right, is said as often.
  const host: Host = { ...unbounded, log: quota(unbounded) };
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
  writeWatcher(host, pid);
  const how = untold()
    ? 'nothing tells of changes to iptables-legacy: it is asked twice a second'
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
