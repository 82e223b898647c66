import ipaddr from 'ipaddr.js';

/**
 * Returns the first and last address of `192.0.2.1`, `192.0.2.0/24` or `192.0.2.1-192.0.2.9`;
 * undefined for other text.
 */
function bounds(text: string): readonly [bigint, bigint] | undefined {
  const [head = '', tail] = text.split('-');
  const [start = '', length] = head.split('/');
  if (!ipaddr.isValid(start) || (tail !== undefined && !ipaddr.isValid(tail))) return undefined;
  const number = (address: string) =>
    ipaddr
      .parse(address)
      .toByteArray()
      .reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const bits = ipaddr.parse(start).kind() === 'ipv4' ? 32 : 128;
  if (length !== undefined && (!/^\d{1,3}$/.test(length) || Number(length) > bits))
    return undefined;
  const first = number(start);
  if (tail !== undefined) return [first, number(tail)];
  return [first, first + (1n << BigInt(bits - Number(length ?? bits))) - 1n];
}

function addressText(number: bigint, digits: number): string {
  return ipaddr
    .fromByteArray([...Buffer.from(number.toString(16).padStart(digits, '0'), 'hex')])
    .toString();
}

/**
 * Merges addresses, prefixes and ranges of one family into the fewest ranges: `FIRST-LAST`, or
 * `FIRST` for one address. The text is the same whether a kernel lists neighbouring prefixes one by
 * one or as a range. Returns undefined when one of the texts is none of these.
 */
export function mergedIntervals(texts: readonly string[]): readonly string[] | undefined {
  const intervals = texts.map(bounds);
  const known = intervals.filter((interval) => interval !== undefined);
  if (known.length < intervals.length) return undefined;
  const merged: [bigint, bigint][] = [];
  for (const [first, last] of [...known].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const previous = merged.at(-1);
    if (previous === undefined || first > previous[1] + 1n) merged.push([first, last]);
    else if (last > previous[1]) previous[1] = last;
  }
  const digits = texts[0]?.includes(':') === true ? 32 : 8;
  return merged.map(([first, last]) =>
    [...new Set([first, last])].map((end) => addressText(end, digits)).join('-'),
  );
}
