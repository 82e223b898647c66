/**
 * An address as the number it is, worked out from its text alone: what the library under the
 * product says is not asked.
 */
export function addressNumber(text: string): bigint {
  if (!text.includes(':'))
    return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail] = text.split('::');
  const groups = (part: string | undefined) =>
    part === undefined || part === '' ? [] : part.split(':');
  const [before, after] = [groups(head), groups(tail)];
  const gap =
    tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...gap, ...after].reduce(
    (sum, group) => sum * 65536n + BigInt(`0x${group}`),
    0n,
  );
}

/** The first and last address of `10.8.0.0/24`. */
export function prefixBounds(text: string): readonly [bigint, bigint] {
  const [start = '', length = ''] = text.split('/');
  const bits = BigInt(start.includes(':') ? 128 : 32) - BigInt(length);
  const first = addressNumber(start);
  return [first, first + (1n << bits) - 1n];
}
