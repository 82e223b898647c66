import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fitted } from '../../../src/cli/screen.ts';

const NARROW = { columns: 24 };

describe('a text on a screen', () => {
  test('goes on below its own start', () => {
    expect(fitted('  one two three four five six', NARROW)).toEqual([
      '  one two three four',
      '  five six',
    ]);
  });

  test('goes on where it is told to, and its first line is filled all the same', () => {
    expect(fitted('name: one two three four', { columns: 20 }, 6)).toEqual([
      'name: one two three',
      '      four',
    ]);
  });

  test('keeps the lines that it has, empty ones too', () => {
    expect(fitted('one\n\ntwo', NARROW)).toEqual(['one', '', 'two']);
  });

  test('is as it is in a pipe, and where it was fitted before colours were put in', () => {
    const long = 'word '.repeat(20);
    const red = `\x1b[31m${'w'.repeat(24)}\x1b[0m`;
    expect(fitted(long, { columns: undefined })).toEqual([long]);
    expect(fitted(red, NARROW)).toEqual([red]);
  });

  test('fits, and keeps every character that is not a space', () => {
    const line = fc.array(fc.constantFrom('a', 'bc', '/a/long/path/without/any/space', ' ', '  '), {
      maxLength: 30,
    });
    const text = fc
      .array(line, { maxLength: 3 })
      .map((lines) => lines.map((parts) => ['x', ...parts].join('')).join('\n'));
    fc.assert(
      fc.property(
        text,
        fc.integer({ min: 60, max: 100 }),
        fc.option(fc.nat(30), { nil: undefined }),
        (any, columns, indent) => {
          const lines = fitted(any, { columns }, indent);
          expect(lines.filter((each) => each.length > columns)).toEqual([]);
          expect(lines.join('').replace(/\s/g, '')).toBe(any.replace(/\s/g, ''));
        },
      ),
    );
  });
});
