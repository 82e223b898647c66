/** A program that runs until it is stopped, or ends by itself. */
export interface Listener {
  stop(): void;
}

/**
 * The one asynchronous door, for what runs without an end: starts a program and gives each line of
 * its stdout as it comes. `ended` is called once, with the last that it said on stderr, when it
 * ends without having been stopped or cannot be started.
 */
export type Listen = (
  program: 'nft' | 'ip',
  args: readonly string[],
  line: (text: string) => void,
  ended: (why: string) => void,
) => Listener;
