import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { Processes } from '../host/processes.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import type { Settings } from '../policy/settings.ts';
import {
  isOfResolvconf,
  type ResolverFacts,
  STRATEGIES,
  type StrategyName,
} from './choose-strategies.ts';

const NAMES = Object.keys(STRATEGIES) as readonly StrategyName[];

/** Returns the strategies that now hold resolvers set by this product. */
export function strategiesInUse(host: Host): readonly StrategyName[] {
  return NAMES.filter((name) => STRATEGIES[name].inUse(host));
}

/**
 * Runs `resolvconf` to learn its kind: one more program, so only where the kind counts. Debian's
 * refuses the question; openresolv and systemd's name themselves.
 */
function resolvconfKind(processes: Processes): ResolverFacts['resolvconf'] {
  if (!processes.has('resolvconf')) return undefined;
  const { stdout } = processes.run({ program: 'resolvconf', args: ['--version'] });
  if (/^openresolv\b/.test(stdout)) return 'openresolv';
  return /^systemd\b/.test(stdout) ? 'resolved' : 'debian';
}

/** Reads from this machine all that the choice may look at. */
export function readResolverFacts(host: Host, setting: Settings['resolver']): ResolverFacts {
  const [, sources = ''] =
    /^\s*hosts:([^#\n]*)/m.exec(readAnybodys(host, '/etc/nsswitch.conf')) ?? [];
  const resolvConf = {
    place: host.place(PATHS.resolvConf) ?? PATHS.resolvConf,
    text: readAnybodys(host, PATHS.resolvConf),
  };
  return {
    setting,
    inUse: strategiesInUse(host),
    resolvConf,
    resolvconf:
      setting === 'resolvconf' || isOfResolvconf(resolvConf) ? resolvconfKind(host) : undefined,
    hasNmcli: host.has('nmcli'),
    switchAsksResolved:
      /\bresolve\b/.test(sources) && host.exists('/run/systemd/resolve/io.systemd.Resolve'),
  };
}
