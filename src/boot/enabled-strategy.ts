import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { type BootStrategy, STRATEGY_NAMES } from './boot-strategy.ts';
import { strategyOf } from './choose.ts';

/** What `boot enable` keeps; the script `recover` reads it too. */
export const BOOT_FOLDER = `${PATHS.state}/boot`;
const FILE = `${BOOT_FOLDER}/with`;

/** The strategy that is on; undefined when none is. */
export function enabledStrategy(host: Host): BootStrategy | undefined {
  const name = (host.read(FILE) ?? '').trim();
  const known = STRATEGY_NAMES.find((each) => each === name);
  return known === undefined ? undefined : strategyOf(known);
}

export function keepStrategy(host: Host, { name }: BootStrategy): void {
  host.write(FILE, `${name}\n`);
}
