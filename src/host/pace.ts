/** Node's start takes less on every machine that is neither slow nor heavily loaded. */
const USUAL_MILLISECONDS = 400;
/**
 * Limit of the pace: three times a hook's deadline is a minute. A server drops a silent client
 * after a minute or two.
 */
const MOST = 3;

/**
 * Returns the factor for every time limit on this machine now, from the milliseconds that Node took
 * to start. An emulated or overloaded machine gets more time. On any other, a child that hangs is
 * stopped as early as before.
 */
export function paceOf(startMilliseconds: number): number {
  return Math.min(MOST, Math.max(1, startMilliseconds / USUAL_MILLISECONDS));
}
