import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

interface Loads {
  readonly bytes: number;
  readonly packages: readonly string[];
  readonly builtins: readonly string[];
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LOADS = JSON.parse(
  execFileSync(process.execPath, ['build.mjs', '--loads'], { cwd: ROOT, encoding: 'utf8' }),
) as Readonly<Record<'hooks.js' | 'start.js', Loads>>;

/**
 * OpenVPN stands still while this is loaded: what makes it grow is changed here, and measured (npm
 * run bench).
 */
const BUDGET = {
  // 33 kB of it are the asynchronous half of execa, which no hook runs: docs/decisions/0180.
  bytes: 315_500,
  packages: [
    ...['@pinojs/redact', '@sec-ant/readable-stream', '@sindresorhus/merge-streams'],
    ...['cross-spawn', 'dotenv', 'execa', 'figures', 'get-stream', 'human-signals', 'ipaddr.js'],
    ...['is-plain-obj', 'is-stream', 'is-unicode-supported', 'isexe', 'npm-run-path', 'parse-ms'],
    ...['path-key', 'pino', 'pretty-ms', 'quick-format-unescaped', 'shebang-command'],
    ...['shebang-regex', 'signal-exit', 'strip-final-newline', 'unicorn-magic', 'which'],
    'yoctocolors',
  ],
  builtins: [
    ...['buffer', 'child_process', 'crypto', 'events', 'fs', 'os', 'path', 'process', 'stream'],
    ...['stream/promises', 'string_decoder', 'timers/promises', 'tty', 'url', 'util', 'v8'],
  ],
};

test('the program of the hooks keeps to its budget of bytes, packages and modules of Node', () => {
  const { bytes, packages, builtins } = LOADS['hooks.js'];
  expect(bytes).toBeLessThanOrEqual(BUDGET.bytes);
  expect(packages).toEqual(BUDGET.packages);
  expect(builtins).toEqual(BUDGET.builtins);
});

test('what starts it is small and asks Node for files and V8 alone', () => {
  const { bytes, packages, builtins } = LOADS['start.js'];
  expect(bytes).toBeLessThanOrEqual(1500);
  expect(packages).toEqual([]);
  expect(builtins).toEqual(['fs', 'vm']);
});
