/** A program that runs until it is stopped, or ends by itself. */
export interface Listener {
  stop(): void;
}

/**
 * The one asynchronous door, for programs that run without an end. Starts a program and passes on
 * each line of its stdout as it comes. Calls `ended` once, with its last line on stderr, when it
 * ends without a stop or cannot start.
 */
export type Listen = (
  program: 'nft' | 'ip',
  args: readonly string[],
  line: (text: string) => void,
  ended: (why: string) => void,
) => Listener;
