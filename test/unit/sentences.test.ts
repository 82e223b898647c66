import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;
const GUIDES = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs/how-to')).map((name) => `docs/how-to/${name}`),
];

/** The prose of a page: without code blocks, tables, headings and pictures. */
function paragraphs(text: string): readonly string[] {
  const prose = text.split('\n').map((line) => (/^( {4,}\S|\||#|!\[)/.test(line) ? '' : line));
  return prose
    .join('\n')
    .split(/\n\s*\n|\n(?=\s*(?:\*|\d+\.) )/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '');
}

/** A page's sentences. A code span counts as one word, a link as its text. */
function sentences(text: string): readonly string[] {
  return paragraphs(text)
    .flatMap((paragraph) =>
      paragraph
        .replace(/^(\*|\d+\.) /, '')
        .replace(/`[^`]+`/g, 'code')
        .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
        .replace(/\*\*/g, '')
        .split(/(?<=[.!?]) | · /),
    )
    .filter((sentence) => /\w/.test(sentence));
}

const wordsOf = (sentence: string) => sentence.split(' ').filter((word) => /\w/.test(word)).length;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

test('splits prose into sentences, and leaves code, tables and headings out', () => {
  const text =
    '# Title\n\nOne `a b c` word. Two [x y](z.md)\nlines.\n\n    code here\n\n* item\n\n| a |';
  expect(sentences(text)).toEqual(['One code word.', 'Two x y lines.', 'item']);
});

test.each(GUIDES)('%s has no sentence above 30 words, and half of them within 16', (path) => {
  const all = sentences(readFileSync(join(ROOT, path), 'utf8'));
  expect(all.filter((sentence) => wordsOf(sentence) > 30)).toEqual([]);
  expect(median(all.map(wordsOf))).toBeLessThanOrEqual(16);
});

test('README.md has at most 120 lines of at most 100 columns', () => {
  const lines = readFileSync(join(ROOT, 'README.md'), 'utf8').trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(120);
  expect(lines.filter((line) => [...line].length > 100)).toEqual([]);
});
