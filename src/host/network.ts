/** The door to names and addresses. */
export interface Network {
  /**
   * Asks DNS for the addresses of names, all at once; names without an answer are missing. Asks
   * `servers` instead of the system's resolvers, from our addresses `sources`. It takes `seconds`
   * at most.
   */
  resolve(
    names: readonly string[],
    servers: readonly string[] | undefined,
    seconds: number,
    sources?: readonly string[],
  ): ReadonlyMap<string, readonly string[]>;
  /** Returns the addresses of these interfaces, without link-local ones. */
  ownAddresses(devices: readonly string[]): readonly string[];
}
