import { printable } from '../net/printable.ts';
import { type Json, parseJson } from './json.ts';

/**
 * A JSON value does not fit its schema. `message` says where in the file, and what belongs there.
 */
class MisfitError extends Error {}

/**
 * What one JSON value must be: gives the fact that it stands for. `at` is its place in the file,
 * for the message. A field that is missing is undefined.
 */
export type Schema<Value> = (json: Json | undefined, at: string) => Value;

type Shape = Readonly<Record<string, Schema<unknown>>>;
type Fields<Of extends Shape> = {
  readonly [Name in keyof Of]: Of[Name] extends Schema<infer Value> ? Value : never;
};

function misfit(at: string, what: string): never {
  throw new MisfitError(`${at === '' ? 'the file' : at} is not ${what}`);
}

/** A text, parsed; `what` names what the parser takes. */
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

/** The same where the value may be missing or null. */
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

/** An object with these fields; others, of a later version, are left out. */
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

/** The value where it fits, else nothing: for what lets less pass when it is missing. */
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

/** A list of those items that fit. */
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

/** A value made into another; `make` gives a text that says what is wrong where it cannot. */
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

/** What a text that should be state says: a fact, or why it is none. */
export type Parsed<Value> = { readonly value: Value } | { readonly refused: string };

/** Never throws, whatever the text is. */
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
