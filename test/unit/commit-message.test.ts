import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const CHECK = new URL('../../.ci/commit-msg', import.meta.url).pathname;

/** The check's complaint about a message; nothing when it takes it. */
function said(message: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'commit-'));
  try {
    writeFileSync(join(folder, 'message'), message);
    const { status, stderr } = spawnSync(CHECK, [join(folder, 'message')], { encoding: 'utf8' });
    expect(status).toBe(stderr === '' ? 0 : 1);
    return stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each([
  'ruleset, backend: let the LAN answer the port that asked\n\nIt could not.\n',
  `ci: ${'x'.repeat(68)}\n`,
  '# a comment\ndocs: say less\n',
  'Revert "docs: say less"\n',
])('%j is taken', (message) => expect(said(message)).toBe(''));

test.each([
  [`ci: ${'x'.repeat(69)}\n`, '73 characters'],
  ['say less\n', 'not "area: imperative"'],
  ['docs: Say less\n', 'not "area: imperative"'],
  ['docs: say less.\n', 'full stop'],
  ['\n', 'not "area: imperative"'],
])('%j is refused: %s', (message, why) => expect(said(message)).toContain(why));
