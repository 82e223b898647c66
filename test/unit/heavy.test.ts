import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import labConfig from '../../vitest.lab.config.ts';
import { HEAVY } from '../heavy.ts';
import { LONGEST } from '../support/longest-first.ts';

const ROOT = resolve(import.meta.dirname, '../..');

test('every heavy test is a file that is there, and the lab runs it', () => {
  expect(HEAVY.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  expect(labConfig.test?.include).toEqual(expect.arrayContaining([...HEAVY]));
});

test('every test that the lab starts first is a file that is there', () => {
  expect(LONGEST.filter((name) => !existsSync(join(ROOT, 'test/lab', name)))).toEqual([]);
});
