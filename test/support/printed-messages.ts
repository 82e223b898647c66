import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The commands whose messages are walked, and the script that one of them runs. */
export const WALKED_FILES = ['lock', 'unlock', 'uninstall', 'recover', 'boot'].map(
  (name) => `src/cli/${name}.ts`,
);
export const WALKED_SCRIPT = 'src/cli/recover.sh';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** The end of a call's parentheses, which begin at `from`. */
function callEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '(') depth++;
    if (text[at] === ')' && --depth === 0) return at;
  }
  return text.length;
}

/** A text with each value in it as an ellipsis. */
function withoutValues(text: string): string {
  return text.replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}|\$\w+|\$\(why\)|@\w+@/g, '…').trim();
}

/** Each text that a command's file prints. */
export function printedBy(path: string): readonly string[] {
  const text = read(path);
  return [...text.matchAll(/\bprint\(/g)].flatMap(({ index }) => {
    const call = text.slice(index + 'print'.length, callEnd(text, index + 'print'.length));
    return [...call.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)].map(
      ([, plain, template]) => withoutValues(plain ?? template ?? ''),
    );
  });
}

/** Each text that the script says, or names as left. */
export function saidBy(path: string): readonly string[] {
  return [...read(path).matchAll(/\b(?:say|remains \w+|echo) (?:'([^']*)'|"((?:[^"\\]|\\.)*)")/g)]
    .map(([, plain, quoted]) => withoutValues(plain ?? quoted ?? ''))
    .map((text) => text.replaceAll('\\"', '"'))
    .filter((text) => /\w \w+ /.test(text) && !/^(add chain|delete rule) /.test(text));
}

/** The codes of errors that a file, or one that it imports, throws. */
export function codesThrownFrom(paths: readonly string[]): ReadonlySet<string> {
  const [seen, left] = [new Set<string>(), [...paths]];
  const codes = new Set<string>();
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const text = read(path);
    for (const [, code = ''] of text.matchAll(/new KillswitchError\(\s*'([A-Z_0-9]+)'/g))
      codes.add(code);
    const from = dirname(path);
    for (const [, target = ''] of text.matchAll(/ from '(\.[^']+)'/g))
      left.push(join(from, target));
  }
  return codes;
}
