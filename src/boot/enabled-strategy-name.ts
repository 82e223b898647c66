import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { STRATEGY_NAMES, type StrategyName } from './boot-strategy.ts';

/** What `boot enable` keeps; the script `recover` reads it too. */
export const BOOT_FOLDER = `${PATHS.state}/boot`;
const FILE = `${BOOT_FOLDER}/with`;
/**
 * Kernel settings as they were, and the files of Red Hat's service as we wrote them and as they
 * were.
 */
export const SYSCTL_BEFORE: string = `${BOOT_FOLDER}/sysctl`;
export const SYSCONFIG_KEPT: string = `${BOOT_FOLDER}/sysconfig`;

/** The name of the strategy that is on; undefined when none is. */
export function enabledStrategyName(host: Host): StrategyName | undefined {
  const name = (host.read(FILE) ?? '').trim();
  return STRATEGY_NAMES.find((each) => each === name);
}

export function keepStrategyName(host: Host, name: StrategyName): void {
  host.write(FILE, `${name}\n`);
}
