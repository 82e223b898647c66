import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { STRATEGY_NAMES, type StrategyName } from './boot-strategy.ts';

/** The folder that `boot enable` keeps its state in; the script `recover` reads it too. */
export const BOOT_FOLDER = `${PATHS.state}/boot`;
const FILE = `${BOOT_FOLDER}/with`;
/**
 * The previous values of kernel settings. Below: the files of Red Hat's service, as this product
 * wrote them and as they were before.
 */
export const SYSCTL_BEFORE: string = `${BOOT_FOLDER}/sysctl`;
export const SYSCONFIG_KEPT: string = `${BOOT_FOLDER}/sysconfig`;

/** Returns the name of the enabled strategy; undefined when none is. */
export function enabledStrategyName(files: Files): StrategyName | undefined {
  const name = (files.read(FILE) ?? '').trim();
  return STRATEGY_NAMES.find((each) => each === name);
}

export function keepStrategyName(files: Files, name: StrategyName): void {
  files.write(FILE, `${name}\n`);
}
