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

Made from the type of the answer by \`npx vitest run test/unit/cli/answer-schema.test.ts -u\`. The same as a JSON Schema: [answer.schema.json](answer.schema.json). \`status --json\` prints another object: [status.md](status.md#for-programs).

Each of these commands takes \`--json\`: ${changing.map(({ name }) => `\`${name}\``).join(', ')}. It then prints one object on stdout and nothing else, also when it fails. Its exit status stays the same. Warnings and errors go to stderr as well, for people. Nothing is asked: \`lock\` over SSH needs \`--yes\` or \`--confirm\` where it would ask.

\`changed\` comes from the effects of the command. Each file is compared before and after, each program that changes something is noted when it ends well, and rules count when a transaction committed them. A command that finds everything as it should be writes nothing.

These do not count as a change: the log; notes of what was seen or done last, in \`/run/ovpn-killswitch\`; the times at which a server's address was seen or used, and since when the machine is locked or unlocked; Node's code caches.

With \`--root DIR\` the object is that of the same command inside the image. Its \`state\` is that of the image, where no rule is loaded.

| field | content |
|---|---|
${rows(ANSWER).join('\n')}
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
