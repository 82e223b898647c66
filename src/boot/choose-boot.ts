import { KillswitchError } from '../errors.ts';
import type { BootStrategy, StrategyName } from './boot-strategy.ts';
import { netfilterPersistent } from './netfilter-persistent.ts';
import { openrc } from './openrc.ts';
import { plainScript } from './plain-script.ts';
import { sysconfig } from './sysconfig.ts';
import { systemd } from './systemd.ts';

/** All the choice may look at. */
export interface BootFacts {
  /** The init system that started this machine. */
  readonly init: 'systemd' | 'openrc' | undefined;
  /** Whether each is installed, running or not. */
  readonly has: Readonly<Record<Exclude<StrategyName, 'plain'>, boolean>>;
}

/** The strategy, and each step that led to it. */
export interface BootChoice {
  readonly strategy: BootStrategy;
  readonly trace: readonly string[];
}

export function strategyOf(name: StrategyName): BootStrategy {
  switch (name) {
    case 'systemd':
      return systemd;
    case 'openrc':
      return openrc;
    case 'netfilter-persistent':
      return netfilterPersistent;
    case 'sysconfig':
      return sysconfig;
    case 'plain':
      return plainScript;
    default:
      return name satisfies never;
  }
}

function auto({ init, has }: BootFacts): { readonly name: StrategyName; readonly why: string } {
  if (init === 'systemd' && has.systemd)
    return { name: 'systemd', why: 'systemd runs this machine, and can keep the network shut' };
  if (init === 'openrc' && has.openrc) return { name: 'openrc', why: 'OpenRC runs this machine' };
  if (has['netfilter-persistent'])
    return {
      name: 'netfilter-persistent',
      why: 'netfilter-persistent is installed, and neither systemd nor OpenRC runs',
    };
  if (has.sysconfig)
    return {
      name: 'sysconfig',
      why: 'the iptables service of Red Hat is installed, and neither systemd nor OpenRC runs',
    };
  return { name: 'plain', why: 'nothing was found here that could load rules at boot' };
}

/**
 * Chooses the strategy that loads the base rules at boot, and says why.
 * @throws KillswitchError NO_BOOT when the wanted strategy is not installed.
 */
export function chooseBoot(facts: BootFacts, wanted: 'auto' | StrategyName): BootChoice {
  if (wanted === 'auto') {
    const { name, why } = auto(facts);
    return { strategy: strategyOf(name), trace: [`${name}: ${why}`] };
  }
  if (wanted !== 'plain' && !facts.has[wanted])
    throw new KillswitchError(
      'NO_BOOT',
      `${wanted} is not installed`,
      'Install it, or let "boot enable" choose by itself: leave --with out.',
    );
  return { strategy: strategyOf(wanted), trace: [`${wanted}: chosen by --with`] };
}
