/** The door to the clock. */
export interface Clock {
  /** Seconds since 1970. */
  now(): number;
}
