import { visibleLine } from '../net/visible.ts';

/** Lines of a hunk around what has changed. */
const CONTEXT = 3;

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.split(/(?<=\n)/);
}

/** A line of a diff; without a line break at its end that is said, as diff(1) does. */
function shown(sign: ' ' | '-' | '+', line: string): readonly string[] {
  return line.endsWith('\n') ? [`${sign}${line.slice(0, -1)}`] : [`${sign}${line}`, '\\ No newline at end of file'];
}

/** `FIRST,COUNT` of a hunk; of an empty one the line before it. */
function range(start: number, count: number): string {
  return count === 1 ? `${start + 1}` : `${count === 0 ? start : start + 1},${count}`;
}

/**
 * The change from one text to another as patch(1) takes it, in one hunk: from the first line that differs to the last. Nothing when they
 * are the same.
 */
export function unifiedDiff(path: string, before: string, after: string): readonly string[] {
  if (before === after) return [];
  const [old, now] = [linesOf(before), linesOf(after)];
  const shorter = Math.min(old.length, now.length);
  let head = 0;
  while (head < shorter && old[head] === now[head]) head++;
  let tail = 0;
  while (tail < shorter - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  const start = Math.max(0, head - CONTEXT);
  const above = old.slice(start, head);
  const removed = old.slice(head, old.length - tail);
  const added = now.slice(head, now.length - tail);
  const below = old.slice(old.length - tail, old.length - tail + CONTEXT);
  const around = above.length + below.length;
  return [
    `--- ${visibleLine(path)}`,
    `+++ ${visibleLine(path)}`,
    `@@ -${range(start, around + removed.length)} +${range(start, around + added.length)} @@`,
    ...above.flatMap((line) => shown(' ', line)),
    ...removed.flatMap((line) => shown('-', line)),
    ...added.flatMap((line) => shown('+', line)),
    ...below.flatMap((line) => shown(' ', line)),
  ];
}
