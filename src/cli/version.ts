/** The version in package.json: a bundle has no package.json beside it. */
export const VERSION = '0.2.0';
