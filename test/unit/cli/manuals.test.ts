import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { completionText, SHELLS, wordsOf } from '../../../src/cli/completions.ts';
import { COMMANDS } from '../../../src/cli/main.ts';
import { manPage } from '../../../src/cli/man-page.ts';
import { nearest } from '../../../src/cli/nearest.ts';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';
import { VERSION } from '../../../src/cli/version.ts';

test('the version is that of package.json', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
  expect(VERSION).toBe(version);
});

describe('what somebody may have meant', () => {
  const names = COMMANDS.map(({ name }) => name);

  test.each([
    ['stauts', 'status'],
    ['unlok', 'unlock'],
    ['explian', 'explain'],
    ['doctr', 'doctor'],
  ])('%s is %s', (word, meant) => expect(nearest(word, names)).toBe(meant));

  test.each(['', 'x', 'frobnicate', 'rm'])('"%s" is nothing', (word) => expect(nearest(word, names)).toBeUndefined());

  test('of flags, it is said', () => {
    const command = { name: 'status', usage: 'status [--json]' };
    expect(() => parseArguments(command, ['--jsn'], { json: { type: 'boolean' } })).toThrow(
      'status has no flag "--jsn": did you mean "--json"?',
    );
    expect(() => parseArguments(command, ['--xyz'], { json: { type: 'boolean' } })).toThrow(/^status has no flag "--xyz"$/);
  });
});

test('the manual page has every command with every example, in text that groff takes literally', () => {
  const page = manPage(COMMANDS);
  const plain = page.replaceAll('\\-', '-').replaceAll('\\&', '').replaceAll('\\e', '\\');
  for (const { usage, examples } of COMMANDS) {
    expect(plain).toContain(`.B ${usage}\n`);
    for (const [call] of examples) expect(plain).toContain(`.B ovpn-killswitch ${call}\n`);
  }
  const control = page.split('\n').filter((line) => /^[.']/.test(line) && !/^\.(TH|SH|TP|B|BR|I|RS|RE)( |$)/.test(line));
  expect(control).toEqual([]);
});

describe('completion', () => {
  const complete = (...words: readonly string[]) => {
    const script = `${completionText('bash', COMMANDS)}
COMP_WORDS=(ovpn-killswitch "$@"); COMP_CWORD=$#; _ovpn_killswitch; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', script, 'bash', ...words], { encoding: 'utf8' });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return stdout.trim().split('\n');
  };

  test('bash completes commands, then their flags', () => {
    expect(complete('')).toEqual(COMMANDS.map(({ name }) => name));
    expect(complete('stat')).toEqual(['status']);
    expect(complete('status', '--')).toEqual(['--json', '--prometheus', '--watch', '--help']);
    expect(complete('boot', 'en')).toEqual(['enable']);
    expect(complete('attach', '/etc/')).toEqual(['']);
  });

  test.each(SHELLS)('%s knows every command and every flag', (shell) => {
    const text = completionText(shell, COMMANDS);
    for (const command of COMMANDS) {
      expect(text).toContain(command.name);
      for (const word of wordsOf(command)) expect(text).toContain(word.replace(/^--/, ''));
    }
  });

  test.for(SHELLS)('%s takes its text without an error', (shell, context) => {
    const { status, error, stderr } = spawnSync(shell, ['-n'], { encoding: 'utf8', input: completionText(shell, COMMANDS) });
    if (error !== undefined) context.skip(`${shell} is not installed`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
