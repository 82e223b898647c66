/**
 * Reading of our own state files. They belong to root, but a half-written or edited one must be an
 * error, not a guess.
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

/** A field of an object; undefined when there is no object or no field. */
export function field(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return (value as { readonly [key: string]: Json })[name];
}

/**
 * A list, each item of it read by `parse`; undefined when it is no list or one of them does not
 * parse.
 */
export function items<Item>(
  value: Json | undefined,
  parse: (json: Json) => Item | undefined,
): readonly Item[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const all = value.map((each: Json) => parse(each));
  const known = all.filter((item) => item !== undefined);
  return known.length === all.length ? known : undefined;
}

/** The same for a list of texts. */
export function texts<Item>(
  value: Json | undefined,
  parse: (text: string) => Item | undefined,
): readonly Item[] | undefined {
  return items(value, (each) => (typeof each === 'string' ? parse(each) : undefined));
}
