import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { DEMO_ACTS } from '../../src/proof/story.ts';

const IMAGES = new URL('../../docs/images/', import.meta.url);
const svg = () => readFileSync(new URL('demo.svg', IMAGES), 'utf8');

test('the picture of the demo shows each act, on light and dark screens, and nothing in clear with the switch', () => {
  const picture = svg();
  for (const { title } of DEMO_ACTS) expect(picture).toContain(title);
  expect(picture).toMatch(/>without: [1-9][\d,]* packets in clear; with: 0</);
  expect(picture).toContain('@media (prefers-color-scheme: dark)');
  expect(picture.match(/<text /g)?.length).toBe(3 * (DEMO_ACTS.length + 1));
});

test.each([
  ['nothing', ''],
  ['a leak', 'without: 14,944 packets in clear; with: 1\n'],
  ['no packet in clear without the switch', 'without: 0 packets in clear; with: 0\n'],
])('a run that shows %s draws nothing', (_, end) => {
  const before = svg();
  const heading = `${' '.repeat(33)}without the switch      with the switch\n`;
  const run = spawnSync(process.execPath, [fileURLToPath(new URL('demo-svg.mjs', IMAGES))], {
    input: `${heading}  1 s  not connected yet         ████  1,379     ····      0\n\n${end}`,
    encoding: 'utf8',
  });
  expect(run.status).not.toBe(0);
  expect(run.stderr).toContain('nothing is drawn');
  expect(svg()).toBe(before);
});
