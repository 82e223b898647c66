import { expect, test } from 'vitest';
import { assertPrivate } from '../../../src/host/sandbox.ts';

test.each([
  ['this process', process.pid],
  ['a process that is not there', 2 ** 22 + 1],
])('nothing is done in the network namespace of %s', (_, pid) => {
  expect(() => assertPrivate(pid)).toThrow('refused: this is not a network namespace of its own');
});
