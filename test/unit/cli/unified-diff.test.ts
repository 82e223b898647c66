import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { unifiedDiff } from '../../../src/cli/unified-diff.ts';

describe('a unified diff', () => {
  test('shows the change with three lines around it', () => {
    expect(unifiedDiff('/a', '1\n2\n3\n4\n5\n6\n7\n8\n9\n', '1\n2\n3\n4\nfive\n6\n7\n8\n9\n')).toEqual([
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
      '@@ -1 +1,2 @@',
      '-1',
      '\\ No newline at end of file',
      '+1',
      '+2',
    ]);
  });

  test('of an empty file begins at line 0', () => {
    expect(unifiedDiff('/a', '', '1\n')).toEqual(['--- /a', '+++ /a', '@@ -0,0 +1 @@', '+1']);
  });

  test('of equal texts is nothing', () => {
    expect(unifiedDiff('/a', '1\n', '1\n')).toEqual([]);
  });

  test('holds both texts where they differ, and the counts of its hunk are right', () => {
    const text = fc
      .array(fc.tuple(fc.constantFrom('a', 'b', 'c', ''), fc.constantFrom('\n', '\r\n')), { maxLength: 12 })
      .chain((lines) => fc.constantFrom('', 'end').map((last) => lines.map(([line, end]) => line + end).join('') + last));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const [, , range = '', ...lines] = unifiedDiff('/a', before, after);
        if (before === after) return;
        const [, from = '', removed = '1', to = '', added = '1'] = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@$/.exec(range) ?? [];
        const side = (sign: string) =>
          lines
            .flatMap((line, index) => {
              const end = lines[index + 1]?.startsWith('\\') === true ? '' : '\n';
              return line.startsWith(' ') || line.startsWith(sign) ? [`${line.slice(1)}${end}`] : [];
            })
            .join('');
        const part = (whole: string, first: string, count: string) => {
          const at = Number(count) === 0 ? Number(first) : Number(first) - 1;
          return whole
            .split(/(?<=\n)/)
            .slice(at, at + Number(count))
            .join('');
        };
        expect(side('-')).toBe(part(before, from, removed));
        expect(side('+')).toBe(part(after, to, added));
      }),
      { numRuns: 1000 },
    );
  });
});
