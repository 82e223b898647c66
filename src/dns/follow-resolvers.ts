import { asKillswitchError, explainError, type KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { stateNow } from '../machine/kernel-state.ts';
import type { Settings } from '../policy/settings.ts';
import { type LiveTunnel, readLiveTunnels, staleTunnels } from '../record/live-tunnels.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import {
  chooseStrategies,
  STRATEGIES,
  type StrategyChoice,
  type StrategyName,
} from './choose-strategies.ts';
import { type Demand, demandsOf } from './demand.ts';
import { readBefore } from './resolv-conf-before.ts';
import { giveBack } from './resolv-conf-file.ts';
import { readResolverFacts, strategiesInUse } from './resolver-facts.ts';

/** The result of following the resolvers. */
export type FollowedResolvers =
  | { readonly kind: 'unchanged' | 'given-back' }
  | { readonly kind: 'set'; readonly choice: StrategyChoice; readonly demands: readonly Demand[] };

/**
 * The resolvers that the system should have now, and the strategies that hold any set by this
 * product.
 */
export interface ResolverState {
  readonly setting: Settings['resolver'];
  /**
   * Empty while the machine is unlocked: nothing is guarded then, and this product's resolvers are
   * removed.
   */
  readonly demands: readonly Demand[];
  readonly inUse: readonly StrategyName[];
  /** One line for each difference between the system's DNS and the demands. */
  readonly differences: readonly string[];
}

/**
 * Returns the live tunnels whose resolvers this product sets. NetworkManager itself sets those of
 * its own connections.
 */
function demanding(host: Host): readonly LiveTunnel[] {
  const live = readLiveTunnels(host);
  const stale = new Set(staleTunnels(host, live));
  return live.filter((each) => !stale.has(each) && each.connection === undefined);
}

/**
 * Reads the state of the resolvers. With `asks` it also asks the programs that hold them; without,
 * it reads files only.
 */
export function readResolvers(host: Host, asks: boolean): ResolverState {
  // Whatever the settings say, restore an unlocked machine's own resolvers.
  const record = readLockRecord(host);
  const settings = record?.locked === true ? settingsInForce(host, record) : undefined;
  const demands =
    settings === undefined || settings.resolver === 'off'
      ? []
      : demandsOf(settings, demanding(host));
  const inUse = strategiesInUse(host);
  const differences =
    demands.length > 0
      ? inUse.length > 0
        ? inUse.flatMap((name) => STRATEGIES[name].differences(host, demands, asks))
        : ['the resolvers of the tunnel are not set']
      : // Without a strategy in use, a kept file dates from before a reboot.
        inUse.length > 0 || readBefore(host) !== undefined
        ? ['the resolvers of a tunnel that is gone are still set']
        : [];
  return { setting: settings?.resolver ?? 'auto', demands, inUse, differences };
}

function restoreAll(host: Host, names: readonly StrategyName[]): void {
  for (const name of names) STRATEGIES[name].restore(host);
  giveBack(host);
}

/**
 * Sets by one strategy, or falls back to the file: the program that generates /etc/resolv.conf may
 * not run, or may ignore the call.
 */
function setOr(host: Host, name: StrategyName, demands: readonly Demand[]): void {
  try {
    STRATEGIES[name].set(host, demands);
  } catch (thrown) {
    if (name !== 'networkmanager' && name !== 'openresolv') throw thrown;
    const { message } = asKillswitchError(thrown);
    host.log({
      level: 'warn',
      event: 'resolvers',
      message: `${STRATEGIES[name].title}: ${message}; /etc/resolv.conf is written instead`,
    });
    STRATEGIES[name].restore(host);
    STRATEGIES.file.set(host, demands);
  }
}

function bring(host: Host, asks: boolean): FollowedResolvers {
  const { setting, demands, inUse, differences } = readResolvers(host, asks);
  if (demands.length === 0) {
    restoreAll(host, inUse);
    return { kind: differences.length > 0 ? 'given-back' : 'unchanged' };
  }
  if (inUse.length === 0) giveBack(host);
  const choice = chooseStrategies(readResolverFacts(host, setting));
  const others = inUse.filter((name) => !choice.names.includes(name));
  if (differences.length === 0 && others.length === 0) return { kind: 'unchanged' };
  for (const name of others) STRATEGIES[name].restore(host);
  for (const name of choice.names) {
    const strategy = STRATEGIES[name];
    // A program may have lost its resolvers: restore first, so that `set` starts afresh.
    if (asks && strategy.inUse(host) && strategy.differences(host, demands, false).length === 0)
      strategy.restore(host);
    setOr(host, name, demands);
  }
  return { kind: 'set', choice, demands };
}

/**
 * Sets the system's DNS to exactly what the live tunnels demand; with none left, restores the
 * previous resolvers. Stale tunnels demand nothing. With `asks`, for a human's command, it also
 * asks the programs behind the files. Takes the lock only when there is something to do.
 * @throws KillswitchError RESOLVERS or FILES when it cannot; the rules are in force all the same.
 */
export function followResolvers(host: Host, asks = false): FollowedResolvers {
  const { differences, demands, inUse } = readResolvers(host, asks);
  if (differences.length === 0 && (!asks || demands.length === 0 || inUse.length === 0))
    return { kind: 'unchanged' };
  return host.exclusively(() => bring(host, asks));
}

/** Like `followResolvers`, but logs a failure and returns it, because the rules come first. */
export function followResolversOrSay(
  host: Host,
  asks = false,
): FollowedResolvers | KillswitchError {
  try {
    return followResolvers(host, asks);
  } catch (thrown) {
    const error = asKillswitchError(thrown);
    for (const line of explainError(error, stateNow(host, error)))
      host.log({ level: 'error', event: 'resolvers', message: line, fields: { code: error.code } });
    return error;
  }
}
