import { describe, expect, test } from 'vitest';
import {
  COLUMNS,
  catalogueFiles,
  entriesOf,
  readCatalogue,
  UNSEEN,
  unseenText,
} from '../support/catalogue.ts';
import { NOT_FOR_PEOPLE } from '../support/not-for-people.ts';
import { sources, standsIn, textsOf } from '../support/source-texts.ts';

const FILES = catalogueFiles().filter((name) => name !== UNSEEN);
/** Lines that continue an error begin with the product's name or with spaces. */
const ENTRIES = FILES.flatMap((name) =>
  entriesOf(readCatalogue(name).replace(/ovpn-killswitch:\s+/g, 'ovpn-killswitch: ')),
);
const isPrinted = (text: string) => ENTRIES.some((entry) => standsIn(text, entry));

test('finds a text with values in what was printed, and no other', () => {
  const printed = 'a "lock" of tun0 has ended after N s.';
  expect(standsIn('a "…" of … has ended', printed)).toBe(true);
  expect(standsIn('… has ended after … s', printed)).toBe(true);
  expect(standsIn('a "…" of … has begun', printed)).toBe(false);
  expect(standsIn('ended … has', printed)).toBe(false);
});

test.each(FILES)('%s has no line of more than 80 columns', (name) => {
  const lines = readCatalogue(name).split('\n');
  expect(lines.filter((line) => [...line].length > COLUMNS)).toEqual([]);
});

test('each text of the program is in the catalogue: printed by a call, or as it stands in the code', async () => {
  const unseen = sources()
    .filter((path) => NOT_FOR_PEOPLE[path] === undefined)
    .map((path) => ({
      path,
      texts: [...new Set(textsOf(path))].filter((text) => !isPrinted(text)),
    }));
  await expect(unseenText(unseen)).toMatchFileSnapshot(`../catalogue/${UNSEEN}`);
});

describe('the files without texts for people', () => {
  test.each(Object.keys(NOT_FOR_PEOPLE))(
    '%s is there, and has strings that read like texts',
    (path) => {
      expect(textsOf(path).length).toBeGreaterThan(0);
    },
  );
});
