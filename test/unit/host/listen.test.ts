import { expect, test } from 'vitest';
import { listen } from '../../../src/host/listen.ts';

test('a program that complained is reported to have ended with its status, beside its last words', async () => {
  const why = await new Promise<string>(
    (done) => void listen('ip', ['no-such-object'], () => undefined, done),
  );
  expect(why).toMatch(/^.*no-such-object.*; it ended with status 1$/);
});
