import { PATHS } from '../host/paths.ts';

/**
 * The plain script that loads the base rules. It ends with 0 when the rules hold back every packet
 * that must not leave, or when the machine is unlocked.
 */
export const BOOT_SCRIPT = `${PATHS.library}/boot`;

/** Names the rules that the script could not load; `lock` removes it. */
export const BOOT_PROBLEM = `${PATHS.runtime}/boot.problem`;

/** Exists once the script has ended with 0 since the machine started. */
export const BOOT_DONE = `${PATHS.runtime}/boot.done`;
