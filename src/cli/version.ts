/** The version in package.json: what is bundled has none beside it. */
export const VERSION = '0.1.0';
