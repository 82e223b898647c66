import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { completionText, SHELLS } from '../../../src/cli/completions.ts';
import { COMMANDS } from '../../../src/cli/main.ts';
import { manPage, settingsPage } from '../../../src/cli/man-page.ts';
import { nearest } from '../../../src/cli/nearest.ts';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';
import { VERSION } from '../../../src/cli/version.ts';
import { KEYS } from '../../../src/policy/settings.ts';

test('the version is that of package.json', () => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  ) as { readonly version: string };
  expect(VERSION).toBe(version);
});

describe('what somebody may have meant', () => {
  const names = COMMANDS.map(({ name }) => name);

  test.each([
    ['stauts', 'status'],
    ['unlok', 'unlock'],
    ['explian', 'explain'],
    ['doctr', 'doctor'],
    ['lokc', 'lock'],
  ])('%s is %s', (word, meant) => expect(nearest(word, names)).toBe(meant));

  test.each(['', 'x', 'frobnicate', 'rm'])('"%s" is nothing', (word) =>
    expect(nearest(word, names)).toBeUndefined(),
  );

  test('of flags, they say so', () => {
    const command = { name: 'status', usage: 'status [--json]' };
    expect(() => parseArguments(command, ['--jsn'], { json: { type: 'boolean' } })).toThrow(
      'status has no flag "--jsn": did you mean "--json"?',
    );
    expect(() => parseArguments(command, ['--xyz'], { json: { type: 'boolean' } })).toThrow(
      /^status has no flag "--xyz"$/,
    );
  });
});

test('the manual page has every command with every example, in text that groff takes literally', () => {
  const page = manPage(COMMANDS);
  const plain = page
    .replaceAll('\\-', '-')
    .replaceAll('\\&', '')
    .replaceAll('\\(dq', '"')
    .replaceAll('\\(aq', "'")
    .replaceAll('\\e', '\\');
  for (const { usage, examples } of COMMANDS) {
    expect(plain).toContain(`.B ${usage}\n`);
    for (const [call] of examples) expect(plain).toContain(`.B ovpn-killswitch ${call}\n`);
  }
  for (const { flags, exits = [] } of COMMANDS) {
    for (const [name, { what }] of Object.entries(flags))
      for (const text of [`--${name}`, what]) expect(plain).toContain(text);
    for (const [, meaning] of exits) expect(plain).toContain(meaning);
  }
  const control = page
    .split('\n')
    .filter((line) => /^[.']/.test(line) && !/^\.(TH|SH|TP|B|BR|I|RS|RE)( |$)/.test(line));
  expect(control).toEqual([]);
});

test('the page of the settings has every key, with what it takes', () => {
  const plain = settingsPage()
    .replaceAll('\\-', '-')
    .replaceAll('\\(dq', '"')
    .replaceAll('\\(aq', "'");
  for (const [key, { allowed }] of Object.entries(KEYS))
    for (const text of [`.B ${key}\n`, allowed]) expect(plain).toContain(text);
});

describe('completion', () => {
  const complete = (...words: readonly string[]) => {
    const script = `${completionText('bash', COMMANDS)}
COMP_WORDS=(ovpn-killswitch "$@"); COMP_CWORD=$#; _ovpn_killswitch; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr, status } = spawnSync(
      'bash',
      ['--norc', '-c', script, 'bash', ...words],
      { encoding: 'utf8' },
    );
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return stdout.trim().split('\n');
  };

  const typed = COMMANDS.filter(({ group }) => group !== 'internal');

  test('bash completes commands, then what may stand at that place', () => {
    expect(complete('')).toEqual(typed.map(({ name }) => name));
    expect(complete('stat')).toEqual(['status']);
    expect(complete('status', '')).toEqual([
      '--json',
      '--prometheus',
      '--short',
      '--watch',
      '--help',
    ]);
    expect(complete('boot', 'en')).toEqual(['enable']);
    expect(complete('boot', 'enable', '')).toEqual([
      '--with',
      '--root',
      '--sysctl',
      '--json',
      '--help',
    ]);
    expect(complete('boot', 'enable', '--with', 'sys')).toEqual(['systemd', 'sysconfig']);
    expect(complete('explain', '')).toEqual(['out', 'in', 'forward']);
    expect(complete('explain', 'out', '--as', 'root', 't')).toEqual(['tcp']);
    expect(complete('explain', 'out', 'tcp', '--state', '')).toEqual([
      'new',
      'established',
      'related',
    ]);
    // A value of one's own, and a file: the shell completes them.
    expect(complete('unlock', '--for', '')).toEqual(['']);
    expect(complete('attach', '/etc/')).toEqual(['']);
    expect(complete('attach', '--d')).toEqual(['--dry-run']);
  });

  test('fish completes the same', (context) => {
    const fish = (line: string) => {
      const script = `${completionText('fish', COMMANDS)}\ncomplete -C '${line}'`;
      const { error, stdout } = spawnSync('fish', ['--no-config', '-c', script], {
        encoding: 'utf8',
      });
      if (error !== undefined) context.skip('fish is not installed');
      return stdout
        .trim()
        .split('\n')
        .map((each) => each.split('\t')[0]);
    };
    expect(fish('ovpn-killswitch explain ')).toEqual(['forward', 'in', 'out']);
    expect(fish('ovpn-killswitch boot en')).toEqual(['enable']);
    expect(fish('ovpn-killswitch boot enable --with sys')).toEqual(['sysconfig', 'systemd']);
    expect(fish('ovpn-killswitch lock --')).toEqual(
      expect.arrayContaining(['--force', '--confirm', '--no-ssh', '--help']),
    );
  });

  test.each(SHELLS)('%s knows every command and every flag', (shell) => {
    const text = completionText(shell, COMMANDS);
    for (const { name, flags } of typed) {
      expect(text).toContain(name);
      for (const flag of Object.keys(flags)) expect(text).toContain(flag);
    }
  });

  test.for(SHELLS)('%s takes its text without an error', (shell, context) => {
    // fish(1) -n reads a file alone.
    const folder = mkdtempSync(join(tmpdir(), 'completion-'));
    try {
      const path = join(folder, shell);
      writeFileSync(path, completionText(shell, COMMANDS));
      const { status, error, stderr } = spawnSync(shell, ['-n', path], { encoding: 'utf8' });
      if (error !== undefined) context.skip(`${shell} is not installed`);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
