import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utcTime } from '../../../src/host/utc-time.ts';

test('a time is written as Date writes it', () => {
  const times = fc.date({
    min: new Date('0000-01-01T00:00:00.000Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(times, (time) => {
      expect(utcTime(time)).toBe(time.toISOString());
    }),
  );
});
