/**
 * Begins the line of `install` that says why the hooks have no code cache. Packages print that line
 * alone.
 */
export const NO_CODE_CACHE = 'The hooks start without a code cache';
