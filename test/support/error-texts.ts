import { readFileSync } from 'node:fs';
import jsTokens from 'js-tokens';
import { ERRORS, type ErrorCode } from '../../src/errors.ts';
import { sources } from './source-texts.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const START = 'new KillswitchError(';

/** One error as it stands in the code; `…` is a value, ` / ` stands between alternatives. */
export interface ErrorText {
  readonly code: ErrorCode;
  readonly message: string;
  readonly next: string;
}

const isCode = (text: string): text is ErrorCode => Object.hasOwn(ERRORS, text);
const unescaped = (text: string) => text.replace(/\\n/g, ' ').replace(/\\(.)/g, '$1');

/** The arguments of a call, each as the strings that it is made of. */
function argumentsOf(
  source: string,
  named: ReadonlyMap<string, readonly string[]>,
): readonly (readonly string[])[] {
  const all: string[][] = [[]];
  let depth = 1;
  let open: string[] = [];
  for (const { type, value } of jsTokens(source)) {
    if (type === 'Punctuator' && /^[([{]$/.test(value)) depth++;
    if (type === 'Punctuator' && /^[)\]}]$/.test(value)) depth--;
    if (depth === 0) break;
    if (value === ',' && depth === 1 && open.length === 0) all.push([]);
    const inner = value.slice(1, type === 'TemplateHead' || type === 'TemplateMiddle' ? -2 : -1);
    const last = all.at(-1) ?? [];
    if (type === 'TemplateHead') open.push(`${inner}…`);
    else if (type === 'TemplateMiddle') open.push(`${open.pop() ?? ''}${inner}…`);
    else if (type === 'TemplateTail') {
      const whole = `${open.pop() ?? ''}${inner}`;
      if (open.length === 0) last.push(whole);
    } else if (/^(StringLiteral|NoSubstitutionTemplate)$/.test(type) && open.length === 0)
      last.push(inner);
    else if (type === 'IdentifierName' && open.length === 0) last.push(...(named.get(value) ?? []));
    if (type === 'Punctuator' && value === ';' && depth === 1) open = [];
  }
  return all;
}

/** The strings of each constant of a file. */
function constantsOf(source: string): ReadonlyMap<string, readonly string[]> {
  const found = source.matchAll(/\bconst (\w+) =\s+([^;]*);/g);
  return new Map(
    [...found].map(([, name = '', value = '']) => [name, argumentsOf(value, new Map()).flat()]),
  );
}

const textOf = (strings: readonly string[] | undefined) =>
  (strings ?? [])
    .map(unescaped)
    .filter((text) => /\w \w/.test(text))
    .join(' / ') || '…';

/** Every error that the program makes, by code, in the order of the table of codes. */
export function errorTexts(): readonly ErrorText[] {
  const found = sources().flatMap((path) => {
    const source = readFileSync(`${ROOT}${path}`, 'utf8');
    const named = constantsOf(source);
    return source
      .split(START)
      .slice(1)
      .flatMap((rest): readonly ErrorText[] => {
        const [code, message, next] = argumentsOf(rest, named);
        const name = code?.[0] ?? '';
        return isCode(name) ? [{ code: name, message: textOf(message), next: textOf(next) }] : [];
      });
  });
  const order = Object.keys(ERRORS);
  return [...found].sort((a, b) => order.indexOf(a.code) - order.indexOf(b.code));
}
