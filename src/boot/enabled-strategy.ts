import type { Host } from '../host/host.ts';
import type { BootStrategy } from './boot-strategy.ts';
import { strategyOf } from './choose.ts';
import { enabledStrategyName } from './enabled-strategy-name.ts';

/** Returns the enabled strategy; undefined when none is. */
export function enabledStrategy(host: Host): BootStrategy | undefined {
  const name = enabledStrategyName(host);
  return name === undefined ? undefined : strategyOf(name);
}
