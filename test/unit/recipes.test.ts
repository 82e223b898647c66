import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;
const textOf = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Where a recipe's files can be; what only talks of them is none of its steps. */
const FOLDERS = ['src', 'hooks', 'test/support', 'test/text/__snapshots__'];

interface Recipe {
  readonly heading: string;
  /** The names of the example in the files that know it. */
  readonly known: RegExp;
}

const RECIPES: readonly Recipe[] = [
  { heading: 'A new setting', known: /KILLSWITCH_LOG_DROPS|\blogDrops\b/ },
  {
    heading: 'A new rule',
    known:
      /'fragments'|\bfragments(\(|: \{|,$)|comment "fragments"|## fragments|tellsOfFragments|told that a fragment/m,
  },
  { heading: 'A new way to load rules at boot', known: /\bsysconfig\b/ },
];

const files = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(ROOT.length)),
);

describe.each(RECIPES)('the recipe "$heading"', ({ heading, known }) => {
  const [, text = ''] = textOf('CONTRIBUTING.md').split(`### ${heading}\n`);
  const [recipe = ''] = text.split(/^##/m);
  const named = [...recipe.matchAll(/`([\w./-]+\/[\w./-]+\.\w+|README\.md)`/g)].map(
    ([, path = '']) => path,
  );

  test('names files that know its example', () => {
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((path) => !known.test(textOf(path)))).toEqual([]);
  });

  test('names every file of the product and of the tests’ own words that knows its example', () => {
    expect(files.filter((path) => known.test(textOf(path)) && !named.includes(path))).toEqual([]);
  });
});
