import { readdirSync, readFileSync } from 'node:fs';
import jsTokens from 'js-tokens';

const ROOT = new URL('../../', import.meta.url).pathname;

const unescaped = (text: string) =>
  text
    .replace(/\\([nt])/g, ' ')
    .replace(/\\u\{?([0-9a-f]+)\}?/gi, '…')
    .replace(/\\(.)/g, '$1');

/** Two words beside each other: a text, and no name, option or key. */
const isText = (text: string) => /[A-Za-z]{2,}[,;:.)"']* ["('….]*[A-Za-z]{2,}/.test(text);

/** Each string of a program that may be a text, with an ellipsis for each value in it. */
export function textsOf(path: string): readonly string[] {
  const texts: string[] = [];
  const open: string[] = [];
  for (const { type, value } of jsTokens(readFileSync(`${ROOT}${path}`, 'utf8'))) {
    const inner = value.slice(1, type === 'TemplateHead' || type === 'TemplateMiddle' ? -2 : -1);
    if (type === 'StringLiteral' || type === 'NoSubstitutionTemplate') texts.push(inner);
    if (type === 'TemplateHead') open.push(`${inner}…`);
    if (type === 'TemplateMiddle') open.push(`${open.pop() ?? ''}${inner}…`);
    if (type === 'TemplateTail') texts.push(`${open.pop() ?? ''}${inner}`);
  }
  return texts.map(unescaped).filter(isText);
}

/** Every file of src. */
export const sources = (): readonly string[] =>
  readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `src/${name}`)
    .sort();

/** Characters that one value in a text takes at most. */
const VALUE = 300;

/** Whether a text stands in what was printed; a value in it may be anything of a line's length. */
export function standsIn(text: string, printed: string): boolean {
  const [first = '', ...parts] = text
    .replace(/\s+/g, ' ')
    .split('…')
    .filter((part) => /\w/.test(part));
  if (![first, ...parts].every((part) => printed.includes(part))) return false;
  for (let at = printed.indexOf(first); at !== -1; at = printed.indexOf(first, at + 1)) {
    let end = at + first.length;
    const isWhole = parts.every((part) => {
      const next = printed.indexOf(part, end);
      if (next === -1 || next - end > VALUE) return false;
      end = next + part.length;
      return true;
    });
    if (isWhole) return true;
  }
  return false;
}
