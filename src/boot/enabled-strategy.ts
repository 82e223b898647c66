import type { Files } from '../host/files.ts';
import type { BootStrategy } from './boot-strategy.ts';
import { strategyOf } from './choose-boot.ts';
import { enabledStrategyName } from './enabled-strategy-name.ts';

/** Returns the enabled strategy; undefined when none is. */
export function enabledStrategy(files: Files): BootStrategy | undefined {
  const name = enabledStrategyName(files);
  return name === undefined ? undefined : strategyOf(name);
}
