import { describe, expect, test } from 'vitest';
import { GROUPS, type Group } from '../../../src/cli/command.ts';
import { EXIT_MEANINGS } from '../../../src/cli/exit-meanings.ts';
import { commandHelp, flagText, programHelp } from '../../../src/cli/help.ts';
import { COMMANDS } from '../../../src/cli/main.ts';
import { fitted } from '../../../src/cli/screen.ts';

/** A page of all commands, made from their table. */
function page(): string {
  const groups = Object.entries(GROUPS) as [Group, string][];
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = (title: string, entries: readonly (readonly [string, string])[]) =>
    entries.length === 0
      ? ''
      : `| ${title} | |\n|---|---|\n${entries.map(([name, what]) => `| \`${cell(name)}\` | ${cell(what)} |\n`).join('')}\n`;
  return `# Commands

This page lists every command, its flags and its exit statuses. \`ovpn-killswitch COMMAND --help\` prints the same. \`npx vitest run test/unit/cli/commands.test.ts -u\` makes this page from the table of commands.

${groups
  .map(
    ([group, title]) =>
      `## ${title}\n\n${COMMANDS.filter((each) => each.group === group)
        .map(
          ({ name, usage, summary, needsRoot, words, flags, exits = [], examples }) =>
            `### ${name}\n\n    ovpn-killswitch ${usage}\n\n${summary}${needsRoot ? ' Needs root.' : ''}\n\n${rows(
              'word',
              words.map((word) => [word.choices?.join('|') ?? word.name, word.what]),
            )}${rows(
              'flag',
              Object.entries(flags).map(([flag, told]) => [flagText(flag, told), told.what]),
            )}${rows(
              'exit status',
              exits.map(([status, meaning]) => [String(status), meaning]),
            )}${rows(
              'example',
              examples.map(([call, what]) => [`ovpn-killswitch ${call}`, what]),
            )}`,
        )
        .join('')}`,
  )
  .join('')}## Exit statuses of every command

${rows(
  'exit status',
  EXIT_MEANINGS.map(([status, meaning]) => [String(status), meaning]),
)}`.replace(/\n+$/, '\n');
}

test('docs/reference/commands.md is made from the table', async () => {
  await expect(page()).toMatchFileSnapshot('../../../docs/reference/commands.md');
});

test('the help of all commands fits a terminal of 80 columns and 24 rows, prompt included', () => {
  const lines = programHelp(COMMANDS).flatMap(({ text, indent }) =>
    fitted(text, { columns: 80 }, indent),
  );
  expect(lines.length).toBeLessThan(24);
  for (const { name, brief, group } of COMMANDS) {
    const line = lines.find((each) => each.startsWith(`  ${name} `));
    expect(line).toEqual(group === 'internal' ? undefined : expect.stringContaining(brief));
  }
});

describe.each(COMMANDS)('$name', (command) => {
  const { name, usage, flags, words, examples } = command;

  test('has in its usage exactly its flags', () => {
    const inUsage = [...usage.matchAll(/--[a-z][a-z-]*/g)].map(([flag]) => flag.slice(2));
    expect([...new Set(inUsage)].sort()).toEqual(Object.keys(flags).sort());
  });

  test('has a description of each flag and word, and says it in its help', () => {
    const help = commandHelp(command)
      .map(({ text }) => text)
      .join('\n');
    for (const { what } of [...Object.values(flags), ...words]) {
      expect(what.length).toBeGreaterThan(3);
      expect(help).toContain(what);
    }
  });

  test('has an example that calls it with flags that it has', () => {
    expect(examples.length).toBeGreaterThan(0);
    for (const [call] of examples) {
      expect(call.split(' ')[0]).toBe(name);
      for (const [flag] of (call.split(' -- ')[0] ?? '').matchAll(/(?<= )--[a-z-]+/g))
        expect(Object.keys(flags)).toContain(flag.slice(2));
    }
  });
});
