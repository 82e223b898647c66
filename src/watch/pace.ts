/** How long `watch` waits for what, in milliseconds. */
export const PACE = {
  /** From a change of rules to the look at it. */
  change: 10,
  /** From the news of an interface: the hook that it belongs to runs right then. */
  link: 300,
  /** Between two looks at least, whatever happens. */
  rest: 400,
  /** While a hook is at work, and how long it is waited for. */
  busy: 100,
  busyMost: 2_000,
  /**
   * After a look that failed, as while another program goes on changing the firewall; each time
   * twice as long.
   */
  failed: 200,
  failedMost: 5_000,
  /**
   * Between looks that nothing has asked for; the second where nothing tells that rules have
   * changed, or may not yet.
   */
  idle: 30_000,
  poll: 500,
  /** How long what listens may take to hear: what happened before that it never tells. */
  deaf: 3_000,
  /**
   * Before a listener that has ended is started again; each time twice as long while it tells
   * nothing.
   */
  again: 1_000,
  againMost: 60_000,
} as const;
