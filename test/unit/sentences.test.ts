import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Passage, proseOfPage } from '../support/prose.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const pagesOf = (folder: string) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));

/** Everything a reader looks up or follows. A decision is never rewritten. */
const PAGES = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/README.md'],
  ...['tutorials', 'how-to', 'reference', 'explanation'].flatMap((kind) => pagesOf(`docs/${kind}`)),
  ...['', 'ansible', 'networkmanager'].flatMap((kind) => pagesOf(join('openvpn-examples', kind))),
];

/** The sentences of passages. A code span counts as one word, a link as its text. */
function sentences(passages: readonly Passage[], kind: Passage['kind']): readonly string[] {
  return passages
    .filter((passage) => passage.kind === kind)
    .flatMap(({ text }) => text.split(/(?<=[.!?]) | · /))
    .filter((sentence) => /\w/.test(sentence));
}

const wordsOf = (sentence: string) => sentence.split(' ').filter((word) => /\w/.test(word)).length;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

test('splits prose into sentences, and leaves code, tables and headings out', () => {
  const text =
    '# Title\n\nOne `a b c` word. Two [x y](z.md)\nlines.\n\n    code here\n\n* item\n\n| a |';
  expect(sentences(proseOfPage(text), 'prose')).toEqual([
    'One `code` word.',
    'Two x y lines.',
    'item',
  ]);
  expect(sentences(proseOfPage(text), 'cell')).toEqual(['a']);
});

test('reads an item of a list to its end, however deep it is', () => {
  const text = '* one\n  * two words\n    and more\n\n        code\n';
  expect(sentences(proseOfPage(text), 'prose')).toEqual(['one', 'two words and more']);
});

test.each(PAGES)('%s has no sentence above 30 words, and half of them within 16', (path) => {
  const passages = proseOfPage(readFileSync(join(ROOT, path), 'utf8'));
  const [prose, cells] = [sentences(passages, 'prose'), sentences(passages, 'cell')];
  expect([...prose, ...cells].filter((sentence) => wordsOf(sentence) > 30)).toEqual([]);
  expect(median(prose.map(wordsOf))).toBeLessThanOrEqual(16);
});

test('README.md has at most 120 lines of at most 100 columns', () => {
  const lines = readFileSync(join(ROOT, 'README.md'), 'utf8').trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(120);
  expect(lines.filter((line) => [...line].length > 100)).toEqual([]);
});
