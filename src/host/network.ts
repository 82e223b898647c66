/** The door to names and addresses. */
export interface Network {
  /**
   * Asks DNS for the addresses of names, all at once; names without an answer are missing.
   * `servers` are asked instead of the system's resolvers, from the addresses `sources` of ours. It
   * takes `seconds` at most.
   */
  resolve(
    names: readonly string[],
    servers: readonly string[] | undefined,
    seconds: number,
    sources?: readonly string[],
  ): ReadonlyMap<string, readonly string[]>;
  /** The addresses of these interfaces, link-local ones left out. */
  ownAddresses(devices: readonly string[]): readonly string[];
}
