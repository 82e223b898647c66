import { formatPatch, OMIT_HEADERS, structuredPatch } from 'diff';
import { visibleLine } from '../net/visible.ts';

/** Lines of a hunk around what has changed. */
const CONTEXT = 3;

/**
 * The change from one text to another as patch(1) takes it, line by line. Nothing when they are the
 * same.
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
