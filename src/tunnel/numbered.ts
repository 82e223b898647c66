/** Values of `PREFIX1`, `PREFIX2`, … of an environment: OpenVPN counts from 1 without gaps. */
export function* numbered(env: Readonly<Record<string, string | undefined>>, prefix: string): Generator<readonly [number, string]> {
  for (let n = 1; ; n++) {
    const value = env[`${prefix}${n}`];
    if (value === undefined) return;
    yield [n, value];
  }
}
