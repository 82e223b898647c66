/**
 * Returns the environment that this program was called with. It serves only a caller's command that
 * runs in turn, and the check of who called sudo.
 */
export function callersEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}
