import { expect, test } from 'vitest';
import { parseDuration } from '../../../src/cli/duration.ts';

test.each([
  ['60', 60],
  ['90s', 90],
  ['5m', 300],
  ['5min', 300],
  ['2h', 7200],
  ['24h', 86_400],
])('%s is %i seconds', (text, seconds) => expect(parseDuration(text)).toBe(seconds));

test.each(['', '0', '-5', '5 m', '5d', '25h', '1.5h', '5m; reboot', '99999999999'])(
  '"%s" is no duration',
  (text) => expect(parseDuration(text)).toBeUndefined(),
);
