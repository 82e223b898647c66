import { PATHS } from '../host/paths.ts';

/**
 * The plain script that loads the base rules; it ends with 0 when nothing can leave that must not,
 * or when the machine is unlocked.
 */
export const BOOT_SCRIPT = `${PATHS.library}/boot`;

/** What the script could not load; removed by `lock`. */
export const BOOT_PROBLEM = `${PATHS.runtime}/boot.problem`;

/** Is there once the script has ended with 0 since the machine started. */
export const BOOT_DONE = `${PATHS.runtime}/boot.done`;
