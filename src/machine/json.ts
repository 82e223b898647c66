/**
 * Reads our own state files as JSON. They belong to root, but a half-written or edited one must be
 * an error, not a guess.
 */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Returns a field of an object; undefined when there is no object or no such field. */
export function field(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return (value as { readonly [key: string]: Json })[name];
}

/** Parses a list, each item by `parse`; undefined when it is no list, or an item does not parse. */
export function items<Item>(
  value: Json | undefined,
  parse: (json: Json) => Item | undefined,
): readonly Item[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const all = value.map((each: Json) => parse(each));
  const known = all.filter((item) => item !== undefined);
  return known.length === all.length ? known : undefined;
}

/** Parses a list of texts, each by `parse`; undefined as in `items`. */
export function texts<Item>(
  value: Json | undefined,
  parse: (text: string) => Item | undefined,
): readonly Item[] | undefined {
  return items(value, (each) => (typeof each === 'string' ? parse(each) : undefined));
}
