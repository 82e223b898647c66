import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { STRATEGY_NAMES, type StrategyName } from './boot-strategy.ts';

/** What `boot enable` keeps; the script `recover` reads it too. */
export const BOOT_FOLDER = `${PATHS.state}/boot`;
const FILE = `${BOOT_FOLDER}/with`;

/** The name of the strategy that is on; undefined when none is. */
export function enabledStrategyName(host: Host): StrategyName | undefined {
  const name = (host.read(FILE) ?? '').trim();
  return STRATEGY_NAMES.find((each) => each === name);
}

export function keepStrategyName(host: Host, name: StrategyName): void {
  host.write(FILE, `${name}\n`);
}
