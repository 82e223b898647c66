/**
 * Returns a time of the years 0 to 9999 in RFC 3339. `Date.toISOString` does the same, but has ICU
 * look for the time zone first.
 */
export function utcTime(time: Date): string {
  const digits = (number: number, width: number) => String(number).padStart(width, '0');
  const day = [
    digits(time.getUTCFullYear(), 4),
    digits(time.getUTCMonth() + 1, 2),
    digits(time.getUTCDate(), 2),
  ].join('-');
  const clock = [time.getUTCHours(), time.getUTCMinutes(), time.getUTCSeconds()]
    .map((number) => digits(number, 2))
    .join(':');
  return `${day}T${clock}.${digits(time.getUTCMilliseconds(), 3)}Z`;
}
