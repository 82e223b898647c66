/**
 * Begins the line of `install` that names a service whose files could not be written again.
 * Packages print that line.
 */
export const NOT_RENEWED = 'Not renewed';
