/**
 * Begins the line of `install` that names a step of taking over another installation that failed.
 * Packages print that line.
 */
export const NOT_MOVED = 'Not moved to this installation';
