/**
 * Yields the values of `PREFIX1`, `PREFIX2`, … of an environment: OpenVPN counts from 1 without
 * gaps. It counts the values of a 2.7 PUSH_UPDATE from 0 (seen with 2.7.8: foreign_option_0), and
 * NetworkManager counts all of its own from 0.
 */
export function* numberedVariables(
  env: Readonly<Record<string, string | undefined>>,
  prefix: string,
): Generator<readonly [number, string]> {
  for (let n = env[`${prefix}0`] === undefined ? 1 : 0; ; n++) {
    const value = env[`${prefix}${n}`];
    if (value === undefined) return;
    yield [n, value];
  }
}
