import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { type Passage, proseOfPage, proseOfProgram, proseOfScript } from '../support/prose.ts';
import { WORD_RULES, type WordRule } from '../support/word-rules.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
/** Folders that hold nothing of this repository (.gitignore). Not every machine has git. */
const OUTSIDE = ['node_modules', 'dist', 'packages', '.git'];

/** Paths of all files below a folder, from the root of the repository. */
function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter(({ name }) => !OUTSIDE.includes(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesBelow(path);
      return entry.isFile() ? [path] : [];
    });
}

const FILES = filesBelow('');

/** A decision is never rewritten: those below this number were written before the rules. */
const FIRST_DECISION = '0200';
const isOldDecision = (path: string) =>
  path.startsWith('docs/decisions/') &&
  (basename(path) < FIRST_DECISION || basename(path) === 'README.md');
/** These hold the words to avoid. */
const HOLD_WORDS = ['test/support/word-rules.ts', 'test/unit/words.test.ts'];

/** The passages of a file that a person reads, by its kind; none of any other file. */
function passagesOf(path: string, text: string): readonly Passage[] {
  if (isOldDecision(path) || HOLD_WORDS.includes(path)) return [];
  if (path.endsWith('.md')) return proseOfPage(text);
  if (/\.sh$|^\.ci\/|^packaging\/(deb|rpm)\//.test(path)) return proseOfScript(text);
  if (!/\.m?[jt]s$/.test(path)) return [];
  return proseOfProgram(text, path.startsWith('test/') ? 'titles' : 'strings');
}

const breaks = ({ avoid, inHeadings }: WordRule, { kind, text }: Passage) =>
  avoid.test(text) && !(inHeadings === true && kind === 'heading');

/** Each break of a rule: the place, the words found, and the words to write. */
function findings(path: string, text: string): readonly string[] {
  return passagesOf(path, text).flatMap((passage) =>
    WORD_RULES.filter((rule) => breaks(rule, passage)).map(
      ({ avoid, write }) =>
        `${path}:${passage.line}: "${avoid.exec(passage.text)?.[0].trim()}": write ${write}`,
    ),
  );
}

test.each(WORD_RULES)('"$wrong" breaks a rule, and "$right" does not', (rule) => {
  expect(rule.avoid.test(rule.wrong)).toBe(true);
  expect(WORD_RULES.filter(({ avoid }) => avoid.test(rule.right))).toEqual([]);
});

test.each([
  ['docs/how-to/a.md', 'Text.\n\nA long\nsentence, then mend\nit.\n', 3],
  ['docs/how-to/a.md', '| a | `b` |\n|---|---|\n| c | mend it |\n', 3],
  ['CHANGELOG.md', '# A\n\n* one\n* two, and\n  mend it\n', 4],
  ['src/a.ts', '/**\n * Can mend it.\n */\nconst a = 1;\n', 1],
  ['src/a.ts', 'const a = 1;\n// They\n// mend it.\n', 2],
  ['src/a.ts', "const a = /'/;\nconst b = 'mend it';\n", 2],
  ['src/a.ts', `const a = 1;\nconst b = \`\${a} may mend\n\${\`x\`} it\`;\n`, 2],
  ['src/a.sh', 'a=1\n# They mend it.\n', 2],
  ['src/a.sh', 'a=1\nsay "mend $a" >&2\n', 2],
  ['test/unit/a.test.ts', '\n// They mend it.\n', 2],
  ['test/unit/a.test.ts', "\ntest('can mend it', () => {});\n", 2],
  ['test/unit/a.test.ts', "\n\ntest.each([1])('can mend %s', () => {});\n", 3],
])('finds a planted word in %s', (path, text, line) => {
  expect(findings(path, text)).toEqual([`${path}:${line}: "mend": write fix`]);
});

test.each([
  ['docs/how-to/a.md', 'Run `mend`.\n\n    mend it\n\n```\nmend it\n```\n<!-- mend -->\n'],
  ['docs/decisions/0100-a.md', 'They mend it.\n'],
  ['test/unit/a.test.ts', "expect(mended('mend')).toBe('mend');\n"],
  ['src/a.ts', 'const mend = 1;\nmend();\n// Runs `mend`.\n'],
])('finds no word in the code, identifiers and old decisions of %s', (path, text) => {
  expect(findings(path, text)).toEqual([]);
});

test('nothing that a person reads breaks a rule', () => {
  const found = FILES.flatMap((path) => findings(path, readFileSync(join(ROOT, path), 'utf8')));
  expect(found).toEqual([]);
});

test('the check reads pages, programs and scripts', () => {
  const count = (path: string) => passagesOf(path, readFileSync(join(ROOT, path), 'utf8')).length;
  expect(count('README.md')).toBeGreaterThan(30);
  expect(count('src/cli/lock.ts')).toBeGreaterThan(50);
  expect(count('src/cli/recover.sh')).toBeGreaterThan(100);
  expect(count('test/unit/docs.test.ts')).toBeGreaterThan(10);
});
