/**
 * Values of `PREFIX1`, `PREFIX2`, … of an environment: OpenVPN counts from 1 without gaps. What a
 * PUSH_UPDATE of 2.7 brings it counts from 0 (seen with 2.7.8: foreign_option_0), and so does
 * NetworkManager all of its own.
 */
export function* numbered(
  env: Readonly<Record<string, string | undefined>>,
  prefix: string,
): Generator<readonly [number, string]> {
  for (let n = env[`${prefix}0`] === undefined ? 1 : 0; ; n++) {
    const value = env[`${prefix}${n}`];
    if (value === undefined) return;
    yield [n, value];
  }
}
