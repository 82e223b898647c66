import type { Listener } from '../host/listener.ts';
import { PACE } from './pace.ts';

/** The limits after a look, in milliseconds. */
export interface AfterLook {
  /** No look comes sooner, whatever happens. */
  readonly rest: number;
  /** Another look comes by then. */
  readonly within: number;
}

/** The time of the next look: the earliest that a caller has asked for, after a rest. */
export interface LookSchedule extends Listener {
  /** Asks for a look in this many milliseconds at the latest. */
  lookIn(milliseconds: number): void;
}

/**
 * Calls `look` when it is due. After a look that throws, for example while another program goes on
 * changing the firewall, calls `failed` and doubles each pause.
 */
export function lookSchedule(
  look: () => AfterLook,
  failed: (thrown: unknown) => void,
): LookSchedule {
  let next: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined;
  let rested = 0;
  let retry: number = PACE.failed;

  const lookIn = (milliseconds: number): void => {
    const at = Math.max(performance.now() + milliseconds, rested);
    if (next !== undefined && next.at <= at) return;
    clearTimeout(next?.timer);
    next = { at, timer: setTimeout(run, at - performance.now()) };
  };

  function run(): void {
    next = undefined;
    try {
      const { rest, within } = look();
      rested = performance.now() + rest;
      retry = PACE.failed;
      lookIn(within);
    } catch (thrown) {
      failed(thrown);
      rested = performance.now() + Math.min(retry, PACE.rest);
      lookIn(retry);
      retry = Math.min(retry * 2, PACE.failedMost);
    }
  }

  return { lookIn, stop: () => clearTimeout(next?.timer) };
}
