/** Node has started by then on every machine that is not slow, or busy beyond measure. */
const USUAL_MILLISECONDS = 400;
/**
 * A server that hears nothing drops its client after a minute or two: three times a hook's time is
 * a minute.
 */
const MOST = 3;

/**
 * How many times as long as usual everything may take on this machine now, by how long its Node
 * took from its start to here, in milliseconds of the clock. An emulated or overloaded machine gets
 * more time; a child that hangs on any other is stopped as soon as ever.
 */
export function paceOf(startMilliseconds: number): number {
  return Math.min(MOST, Math.max(1, startMilliseconds / USUAL_MILLISECONDS));
}
