import { applyPatch } from 'diff';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { unifiedDiff } from '../../../src/cli/unified-diff.ts';

describe('a unified diff', () => {
  test('shows the change with three lines around it', () => {
    expect(
      unifiedDiff('/a', '1\n2\n3\n4\n5\n6\n7\n8\n9\n', '1\n2\n3\n4\nfive\n6\n7\n8\n9\n'),
    ).toEqual([
      '--- /a',
      '+++ /a',
      '@@ -2,7 +2,7 @@',
      ' 2',
      ' 3',
      ' 4',
      '-5',
      '+five',
      ' 6',
      ' 7',
      ' 8',
    ]);
  });

  test('says where a line break is missing at the end', () => {
    expect(unifiedDiff('/a', '1', '1\n2\n')).toEqual([
      '--- /a',
      '+++ /a',
      '@@ -1,1 +1,2 @@',
      '-1',
      '\\ No newline at end of file',
      '+1',
      '+2',
    ]);
  });

  test('of an empty file begins at line 0', () => {
    expect(unifiedDiff('/a', '', '1\n')).toEqual(['--- /a', '+++ /a', '@@ -0,0 +1,1 @@', '+1']);
  });

  test('of equal texts is nothing', () => {
    expect(unifiedDiff('/a', '1\n', '1\n')).toEqual([]);
  });

  test('makes the one text of the other', () => {
    const text = fc
      .array(fc.tuple(fc.constantFrom('a', 'b', 'c', ''), fc.constantFrom('\n', '\r\n')), {
        maxLength: 20,
      })
      .chain((lines) =>
        fc
          .constantFrom('', 'end')
          .map((last) => lines.map(([line, end]) => line + end).join('') + last),
      );
    fc.assert(
      fc.property(text, text, (before, after) => {
        const lines = unifiedDiff('/a', before, after);
        fc.pre(before !== after);
        expect(
          applyPatch(before, lines.map((line) => `${line}\n`).join(''), {
            autoConvertLineEndings: false,
          }),
        ).toBe(after);
      }),
    );
  });
});
