import { expect, test } from 'vitest';
import { parsePlainYaml } from '../../support/plain-yaml.ts';

test('reads mappings, sequences, literal blocks and quoted scalars', () => {
  const text = [
    '# a comment',
    'groups:',
    '  - name: a',
    '    expr: x{y="z"} == 1',
    '    rules:',
    "      - 'it''s {{ a }}: b'",
    '      - |',
    '        set -e',
    '',
    '          more',
    'last: 1',
  ].join('\n');
  expect(parsePlainYaml(text)).toEqual({
    groups: [
      {
        name: 'a',
        expr: 'x{y="z"} == 1',
        rules: ["it's {{ a }}: b", 'set -e\n\n  more\n'],
      },
    ],
    last: '1',
  });
});

test.each([
  ['a value with a colon in it', 'a: b: c'],
  ['a key that stands twice', 'a: 1\na: 2'],
  ['a line that is out of line', 'a:\n  b: 1\n c: 2'],
  ['a quote that is not closed', "a: 'b"],
  ['a template without quotes', 'a: {{ b }}'],
  ['a key without a value', 'a:\nb: 1'],
  ['a tab', 'a: b\tc'],
])('refuses %s', (_, text) => {
  expect(() => parsePlainYaml(text)).toThrow();
});
