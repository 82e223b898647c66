import { expect, test } from 'vitest';
import { paceOf } from '../../../src/host/pace.ts';

test.each([
  ['a usual machine', 60, 1],
  ['a busy one', 390, 1],
  ['an emulated one', 800, 2],
  ['one that has come to a stand', 60_000, 3],
])('%s gets the time that it needs, within a minute for a hook', (_, start, pace) => {
  expect(paceOf(start)).toBe(pace);
});
