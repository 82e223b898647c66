import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/main.ts';
import {
  COLUMNS,
  catalogueFiles,
  entriesOf,
  fromCalls,
  readCatalogue,
  UNSEEN,
  unseenText,
} from '../support/catalogue.ts';
import { NOT_FOR_PEOPLE } from '../support/not-for-people.ts';
import { RENDERED, renderedText } from '../support/rendered-texts.ts';
import { sources, standsIn, textsOf } from '../support/source-texts.ts';

const FROM_CALLS = fromCalls(COMMANDS.map(({ name }) => name));
const ENTRIES = [...RENDERED.map(renderedText), ...FROM_CALLS.map(readCatalogue)].flatMap(
  entriesOf,
);
const isShown = (text: string) => ENTRIES.some((entry) => standsIn(text, entry));

test('finds a text with values in a line, and no other', () => {
  const printed = 'a "lock" of tun0 has ended after N s.';
  expect(standsIn('a "…" of … has ended', printed)).toBe(true);
  expect(standsIn('… has ended after … s', printed)).toBe(true);
  expect(standsIn('a "…" of … has begun', printed)).toBe(false);
  expect(standsIn('ended … has', printed)).toBe(false);
});

test.each(catalogueFiles())('%s has no line of more than 80 columns', (name) => {
  const lines = readCatalogue(name).split('\n');
  expect(lines.filter((line) => [...line].length > COLUMNS)).toEqual([]);
});

test.each(RENDERED)('$name is what the code renders', async (rendered) => {
  await expect(renderedText(rendered)).toMatchFileSnapshot(`../catalogue/${rendered.name}`);
});

test('each text of the program is in the catalogue: rendered, from a real call, or as it stands in the code', async () => {
  const unseen = sources()
    .filter((path) => NOT_FOR_PEOPLE[path] === undefined)
    .map((path) => ({
      path,
      texts: [...new Set(textsOf(path))].filter((text) => !isShown(text)),
    }));
  await expect(unseenText(unseen)).toMatchFileSnapshot(`../catalogue/${UNSEEN}`);
});

test('has these files and no others', () => {
  const names = [...RENDERED.map(({ name }) => name), ...FROM_CALLS, UNSEEN];
  expect(catalogueFiles()).toEqual(names.sort());
});

describe('the files without texts for people', () => {
  test.each(Object.keys(NOT_FOR_PEOPLE))(
    '%s is there, and has strings that read like texts',
    (path) => {
      expect(textsOf(path).length).toBeGreaterThan(0);
    },
  );
});
