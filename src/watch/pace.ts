/** The delays and timeouts of `watch`, in milliseconds. */
export const PACE = {
  /** From a change of rules to the look at them. */
  change: 10,
  /** From a change of an interface: its hook runs at the same moment. */
  link: 300,
  /** Between two looks at least, whatever happens. */
  rest: 400,
  /** Between looks while a hook is at work, and how long to wait for that hook. */
  busy: 100,
  busyMost: 2_000,
  /**
   * After a look that failed, for example while another program goes on changing the firewall;
   * doubles each time.
   */
  failed: 200,
  failedMost: 5_000,
  /**
   * Between looks that no event asked for. `poll` applies where no listener reports changes of
   * rules, or none does yet.
   */
  idle: 30_000,
  poll: 500,
  /** How long a listener may take to start: it never reports earlier changes. */
  deaf: 3_000,
  /** Before a listener that ended is started again; doubles each time while it reports nothing. */
  again: 1_000,
  againMost: 60_000,
} as const;
