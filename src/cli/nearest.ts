/**
 * Counts the letters to insert, remove, change or swap with the next to turn one word into another
 * (optimal string alignment).
 */
function distance(a: string, b: string): number {
  let above: readonly number[] = [];
  let row: readonly number[] = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...b].entries()) {
      const isSwapped =
        index > 0 && column > 0 && letter === b[column - 1] && a[index - 1] === other;
      next.push(
        Math.min(
          (row[column] ?? 0) + Number(letter !== other),
          (row[column + 1] ?? 0) + 1,
          (next[column] ?? 0) + 1,
          ...(isSwapped ? [(above[column - 1] ?? 0) + 1] : []),
        ),
      );
    }
    [above, row] = [row, next];
  }
  return row[b.length] ?? 0;
}

/**
 * Returns the known word that the caller may have meant: the nearest, when at most a third of it is
 * wrong.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((each) => ({ each, letters: distance(word, each) }))
    .sort((a, b) => a.letters - b.letters);
  return best !== undefined && best.letters * 3 <= Math.max(best.each.length, 3)
    ? best.each
    : undefined;
}

/** Returns `: did you mean "…"?`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return meant === undefined ? '' : `: did you mean "${meant}"?`;
}
