import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { statusJson } from '../../../src/view/status-json.ts';
import { statusMetrics } from '../../../src/view/status-metrics.ts';
import { FULL_VIEW } from '../../support/views.ts';

const TEXT = readFileSync(new URL('../../../docs/reference/status.md', import.meta.url), 'utf8');

/** The code in the first cells of the table under a heading. */
function firstCells(heading: string): readonly string[] {
  const [, part = ''] = TEXT.split(`\n## ${heading}\n`);
  const [own = ''] = part.split('\n## ');
  return [...own.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = '']) => cell);
}

/** Counters by rule are one field. */
const MAPS = ['drops.packets', 'drops.sinceLoad'];

function fieldsOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value))
    return [
      path,
      ...value.flatMap((each) => (typeof each === 'object' ? fieldsOf(each, path) : [])),
    ];
  if (typeof value !== 'object' || value === null || MAPS.includes(path)) return [path];
  return Object.entries(value).flatMap(([key, each]) =>
    fieldsOf(each, path === '' ? key : `${path}.${key}`),
  );
}

test('docs/reference/status.md lists every field of the JSON, and no other', () => {
  const fields = [...new Set(fieldsOf(JSON.parse(statusJson(FULL_VIEW))))].filter(
    (field) => field !== '',
  );
  expect([...firstCells('For programs')].sort()).toEqual(fields.sort());
});

test('docs/reference/status.md lists every metric, and no other', () => {
  const metrics = [...statusMetrics(FULL_VIEW).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(firstCells('For Prometheus')).toEqual(metrics);
});
