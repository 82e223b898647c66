/**
 * The environment that this program was called with: for a command of the caller's that it runs,
 * and for who called sudo. Nothing else counts.
 */
export function callersEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}
