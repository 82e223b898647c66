import type { Listener } from '../host/listener.ts';
import { PACE } from './pace.ts';

export interface Lasting extends Listener {
  /** Tells whether it has run for long enough to have reported every change since the last look. */
  hears(): boolean;
}

/**
 * Opens a listener that starts again whenever it ends. `start` calls `line` for each line it hears,
 * and `ended` with the reason when it ends.
 */
export function listenOn(
  start: (line: () => void, ended: (why: string) => void) => Listener,
  ended: (why: string) => void,
): Lasting {
  let pause: number = PACE.again;
  let timer: NodeJS.Timeout | undefined;
  let listener: Listener | undefined;
  let since = Number.POSITIVE_INFINITY;
  const run = () => {
    since = performance.now();
    listener = start(
      () => {
        pause = PACE.again;
      },
      (why) => {
        since = Number.POSITIVE_INFINITY;
        timer = setTimeout(run, pause);
        pause = Math.min(pause * 2, PACE.againMost);
        ended(why);
      },
    );
  };
  run();
  return {
    hears: () => performance.now() - since > PACE.deaf,
    stop: () => {
      clearTimeout(timer);
      listener?.stop();
    },
  };
}
