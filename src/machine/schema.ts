import { printable } from '../net/printable.ts';
import { type Json, parseJson } from './json.ts';

/**
 * Thrown when a JSON value does not fit its schema. `message` names the place in the file and the
 * expected value.
 */
class MisfitError extends Error {}

/**
 * Checks one JSON value and returns its fact. `at` is its place in the file, for the message. A
 * missing field is undefined.
 */
export type Schema<Value> = (json: Json | undefined, at: string) => Value;

type Shape = Readonly<Record<string, Schema<unknown>>>;
type Fields<Of extends Shape> = {
  readonly [Name in keyof Of]: Of[Name] extends Schema<infer Value> ? Value : never;
};

function misfit(at: string, what: string): never {
  throw new MisfitError(`${at === '' ? 'the file' : at} is not ${what}`);
}

/** A text, parsed; `what` names the parser's input. */
export function text<Value>(
  parse: (text: string) => Value | undefined,
  what: string,
): Schema<Value> {
  return (json, at) => (typeof json === 'string' ? parse(json) : undefined) ?? misfit(at, what);
}

/** A whole number within bounds, both included. */
export function whole(least: number, most: number = Number.MAX_SAFE_INTEGER): Schema<number> {
  return (json, at) =>
    Number.isSafeInteger(json) && Number(json) >= least && Number(json) <= most
      ? Number(json)
      : misfit(at, 'a number');
}

/** A number of seconds, with fractions. */
export const seconds: Schema<number> = (json, at) =>
  typeof json === 'number' && json >= 0 && Number.isFinite(json) ? json : misfit(at, 'a time');

export const flag: Schema<boolean> = (json, at) =>
  typeof json === 'boolean' ? json : misfit(at, 'true or false');

/** One of these words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): Schema<Word> {
  return (json, at) =>
    words.find((word) => word === json) ?? misfit(at, `one of ${words.join(', ')}`);
}

/** A value that may also be missing or null. */
export function optional<Value>(schema: Schema<Value>): Schema<Value | undefined> {
  return (json, at) => (json === undefined || json === null ? undefined : schema(json, at));
}

/** A list; every item must fit. */
export function list<Value>(item: Schema<Value>): Schema<readonly Value[]> {
  return (json, at) =>
    Array.isArray(json)
      ? json.map((each: Json, index) => item(each, `${at}[${index}]`))
      : misfit(at, 'a list');
}

function isObject(json: Json | undefined): json is { readonly [key: string]: Json } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** An object with these fields. Ignores others, which a later version may add. */
export function object<Of extends Shape>(shape: Of): Schema<Fields<Of>> {
  return (json, at) => {
    if (!isObject(json)) return misfit(at, 'an object');
    const fields = Object.entries(shape).map(([name, schema]) => [
      name,
      schema(
        Object.hasOwn(json, name) ? json[name] : undefined,
        at === '' ? name : `${at}.${name}`,
      ),
    ]);
    return Object.fromEntries(fields) as Fields<Of>;
  };
}

/** The value where it fits, else undefined: for facts without which less passes. */
export function fitting<Value>(schema: Schema<Value>): Schema<Value | undefined> {
  return (json, at) => {
    try {
      return schema(json, at);
    } catch (thrown) {
      if (thrown instanceof MisfitError) return undefined;
      throw thrown;
    }
  };
}

/** A list, without the items that do not fit. */
export function listOfFitting<Value>(item: Schema<Value>): Schema<readonly Value[]> {
  const all = list(fitting(item));
  return (json, at) => all(json, at).filter((each) => each !== undefined);
}

/** An object whose keys are facts too. */
export function entries<Key, Value>(
  key: Schema<Key>,
  value: Schema<Value>,
): Schema<readonly (readonly [Key, Value])[]> {
  return (json, at) =>
    isObject(json)
      ? Object.entries(json).map(
          ([name, each]) => [key(name, `${at} key`), value(each, `${at}.${name}`)] as const,
        )
      : misfit(at, 'an object');
}

/** A value converted by `make`, which returns an object, or a text with the problem. */
export function made<Value, Other extends object>(
  schema: Schema<Value>,
  make: (value: Value) => Other | string,
): Schema<Other> {
  return (json, at) => {
    const other = make(schema(json, at));
    if (typeof other === 'string') throw new MisfitError(other);
    return other;
  };
}

/** The result of reading a state text: a fact, or why it is refused. */
export type Parsed<Value> = { readonly value: Value } | { readonly refused: string };

/** Parses a state text. Never throws, whatever the text is. */
export function parseState<Value>(text: string, schema: Schema<Value>): Parsed<Value> {
  const json = parseJson(text);
  if (json === undefined)
    return { refused: text === '' ? 'it is empty' : 'it is not whole: no JSON' };
  try {
    return { value: schema(json, '') };
  } catch (thrown) {
    if (thrown instanceof MisfitError)
      return { refused: printable(thrown.message).trim().slice(0, 200) };
    throw thrown;
  }
}
