/**
 * Returns `items` without one occurrence of each of `taken`. Two items are equal when their texts
 * are.
 */
export function multisetDifference<Item>(
  items: readonly Item[],
  taken: readonly Item[],
  textOf: (item: Item) => string,
): readonly Item[] {
  const counts = new Map<string, number>();
  for (const item of taken) counts.set(textOf(item), (counts.get(textOf(item)) ?? 0) + 1);
  return items.filter((item) => {
    const left = counts.get(textOf(item)) ?? 0;
    counts.set(textOf(item), left - 1);
    return left <= 0;
  });
}
