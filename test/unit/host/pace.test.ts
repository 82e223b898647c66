import { expect, test, vi } from 'vitest';
import { linuxHost } from '../../../src/host/linux.ts';
import { paceOf } from '../../../src/host/pace.ts';

test.each([
  ['a usual machine', 60, 1],
  ['a busy one', 390, 1],
  ['an emulated one', 800, 2],
  ['one that has come to a stand', 60_000, 3],
])('%s gets the time that it needs, within a minute for a hook', (_, start, pace) => {
  expect(paceOf(start)).toBe(pace);
});

test.each([0.0371, 0.4163, 0.5117, 0.81834])(
  'a command runs on a machine whose Node took %f s to start',
  (seconds) => {
    const uptime = vi.spyOn(process, 'uptime').mockReturnValue(seconds);
    try {
      const host = linuxHost({
        name: 'test',
        milliseconds: 20_000,
        shown: 'silent',
        say: () => undefined,
      });
      expect(host.run({ program: 'sh', args: ['-c', 'true'] })).toMatchObject({ status: 0 });
    } finally {
      uptime.mockRestore();
    }
  },
);
