import { execFileSync, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const CI = resolve(import.meta.dirname, '../../.ci');
const ROOT = resolve(CI, '..');
/** The demo's last line when nothing left with the switch, and something without it. */
const PROVEN = /^without: [1-9][\d,]* packets in clear; with: 0$/m;

/** Node's major versions, each a real binary that `.ci/node` fetches. */
const MAJORS = execFileSync(`${CI}/node`, ['--list'], { encoding: 'utf8' }).trim().split('\n');

test.each(MAJORS)('the demo proves the built product on Node %s', (major) => {
  const node = execFileSync(`${CI}/node`, [major], { encoding: 'utf8' }).trim();
  expect(execFileSync(node, ['--version'], { encoding: 'utf8' })).toMatch(
    new RegExp(`^v${major}\\.`),
  );
  const { status, stdout, stderr } = spawnSync(node, [`${ROOT}/dist/demo.js`], {
    encoding: 'utf8',
  });
  expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(PROVEN);
});

/** An npm script in a fresh Debian with nothing but its own nodejs and npm. */
function fresh(root: string, ...script: readonly string[]) {
  return spawnSync(`${CI}/fresh`, [root, ...script], { encoding: 'utf8' });
}
/**
 * The stories played there in every run of CI, the rest by hand. No Node counts packet classes
 * otherwise than another.
 */
const TIERS = [
  ...['--project=unit', '--project=text', '--maxWorkers=2'],
  ...['leaks', 'promises'].map((each) => `--exclude=test/unit/ruleset/${each}.test.ts`),
];

describe("in a fresh Debian with nothing but its own nodejs and npm, 'npm run demo'", () => {
  test.each(['node-12', 'node-13', 'node-sid'])('ends with 0 packets in clear: %s', (root) => {
    const { status, stdout, stderr } = fresh(root, 'demo');
    expect(stdout, stderr).toMatch(PROVEN);
    expect(status, stdout).toBe(0);
  });
});

describe("in a fresh Debian with nothing but its own nodejs and npm, 'npm test'", () => {
  test.each(['node-13', 'node-sid'])('passes: %s', (root) => {
    const { status, stdout, stderr } = fresh(root, 'test', '--', ...TIERS);
    const [, passed, failed] = /^(\d+) passed, (\d+) failed, \d+ skipped$/m.exec(stdout) ?? [];
    expect({ failed, status }, `${stdout}${stderr}`).toEqual({ failed: '0', status: 0 });
    expect(Number(passed)).toBeGreaterThan(4000);
  });

  test('names the Node that it needs where the own one is older: node-12', () => {
    const { status, stderr } = fresh('node-12', 'test');
    expect(stderr).toMatch(/^setup: Node 20\.0 or newer is needed for the tests; this is v18\./m);
    expect(status).not.toBe(0);
  });
});
