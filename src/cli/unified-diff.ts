import { formatPatch, OMIT_HEADERS, structuredPatch } from 'diff';
import { visibleLine } from '../net/visible.ts';

/** Unchanged lines around each change in a hunk. */
const CONTEXT = 3;

/**
 * Returns the change from one text to another as patch(1) reads it, line by line. Returns nothing
 * when the texts are equal.
 */
export function unifiedDiff(path: string, before: string, after: string): readonly string[] {
  if (before === after) return [];
  const name = visibleLine(path);
  const hunks = formatPatch(
    structuredPatch(name, name, before, after, undefined, undefined, { context: CONTEXT }),
    OMIT_HEADERS,
  );
  return [`--- ${name}`, `+++ ${name}`, ...hunks.replace(/\n$/, '').split('\n')];
}
