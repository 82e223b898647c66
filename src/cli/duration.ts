/** Seconds in each unit. */
const UNITS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, min: 60, h: 3600 };
const LONGEST = 86_400;

/**
 * Parses a duration into seconds: `90`, `90s`, `5m`, `2h`; at least a second and at most a day.
 * Returns undefined for other text.
 */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,6})(s|m|min|h)?$/.exec(text) ?? [];
  const seconds = Number(digits) * (UNITS[unit] ?? Number.NaN);
  return seconds >= 1 && seconds <= LONGEST ? seconds : undefined;
}
