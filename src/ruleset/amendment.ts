import { type Addition, additions } from './additions.ts';
import type { Ruleset } from './ruleset.ts';

/** A change that only adds, or only takes away. In `removed`, `created` means that the chain goes as a whole. */
export interface Amendment {
  readonly added: readonly Addition[];
  readonly removed: readonly Addition[];
}

export function isEmpty({ added, removed }: Amendment): boolean {
  return added.length === 0 && removed.length === 0;
}

/** What turns `from` into `to` by adding alone or by taking away alone; undefined when neither is enough. */
export function amendment(from: Ruleset, to: Ruleset): Amendment | undefined {
  const added = additions(from, to);
  if (added !== undefined) return { added, removed: [] };
  const removed = additions(to, from);
  return removed && { added: [], removed };
}
