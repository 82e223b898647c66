import { describe, expect, test } from 'vitest';
import { ANSWER } from '../../../src/cli/answer-schema.ts';
import { answersAsJson } from '../../../src/cli/json-flag.ts';
import { COMMANDS } from '../../../src/cli/main.ts';

type Schema = {
  readonly description: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
};

/** A row for each field, by its path. */
function rows(schema: Schema, path = ''): readonly string[] {
  const inner = [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
      const at = path === '' ? name : `${path}.${name}`;
      return [`| \`${at}\` | ${field.description} |`, ...rows(field, at)];
    }),
    ...(schema.items === undefined ? [] : rows(schema.items, path)),
    ...(schema.anyOf ?? []).flatMap((each) => rows(each, path)),
  ];
  return inner;
}

const changing = COMMANDS.filter(answersAsJson);

function page(): string {
  return `# Answers as JSON

Each of these commands takes \`--json\`: ${changing.map(({ name }) => `\`${name}\``).join(', ')}.

* **Output:** one object on stdout and nothing else, even if the command fails. Warnings and errors also go to stderr, for people.
* **Exit status:** the same as without \`--json\`.
* **Questions:** none. Where \`lock\` over SSH would ask, it needs \`--yes\` or \`--confirm\`.

\`status --json\` prints another object: see [Status](status.md#for-programs).

## Fields

| field | content |
|---|---|
${rows(ANSWER).join('\n')}

[answer.schema.json](answer.schema.json) has the same as a JSON Schema. \`npx vitest run test/unit/cli/answer-schema.test.ts -u\` makes both from the type of the answer.

## What counts as a change

The command finds its changes itself:

* It compares each file before and after.
* It notes each program that changes something, if that program ends well.
* It counts rules if a transaction committed them.

So a command that finds everything as expected reports no change.

These do not count as a change:

* the log, and Node's code caches;
* notes about the last work, in \`/run/ovpn-killswitch\`;
* the times at which a server's address was seen or used;
* the time since which the machine is locked or unlocked.

With \`--root DIR\`, the object is that of the same command inside the image. Its \`state\` is that of the image: no rule is loaded there.
`;
}

describe('the reference of answers', () => {
  test('docs/reference/json.md is made from the type', async () => {
    await expect(page()).toMatchFileSnapshot('../../../docs/reference/json.md');
  });

  test('docs/reference/answer.schema.json is made from the type', async () => {
    const schema = { $schema: 'https://json-schema.org/draft/2020-12/schema', ...ANSWER };
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(
      '../../../docs/reference/answer.schema.json',
    );
  });
});

test('every command that needs root answers as JSON, or only looks', () => {
  const looking = ['status', 'explain', 'doctor', 'prove', 'render', 'completion'];
  expect(
    COMMANDS.filter((each) => !answersAsJson(each))
      .map(({ name }) => name)
      .sort(),
  ).toEqual(looking.sort());
});
