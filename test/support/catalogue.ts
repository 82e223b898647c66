import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../catalogue/', import.meta.url).pathname;
/** The width of the terminal on which commands are shown. */
export const COLUMNS = 80;

const MORE_INDENT = '    ';

/** Folds what a program printed without looking at the terminal, as a log or a script does. */
export function folded(line: string): readonly string[] {
  const lines: string[] = [];
  const indent = `${/^ */.exec(line)?.[0] ?? ''}${MORE_INDENT}`;
  let rest = line;
  while (rest.length > COLUMNS) {
    const space = rest.lastIndexOf(' ', COLUMNS);
    const cut = space > indent.length ? space : COLUMNS;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = `${indent}${rest.slice(cut).trimStart()}`;
  }
  return [...lines, rest];
}

/** Texts that are no command's: of the plain scripts, of the hooks, of the log, and of no command. */
const OTHER_CALLS = ['boot-script', 'dispatcher', 'hooks', 'log', 'program', 'recover-script'];

/** The files that the lab writes, from real calls: `test/lab/catalogue.test.ts`. */
export const fromCalls = (commands: readonly string[]): readonly string[] =>
  [...commands, ...OTHER_CALLS].map((name) => `${name}.txt`);

/** The file of the texts that no other file shows. */
export const UNSEEN = 'unseen.txt';

/** Renders the texts of source files that no other file shows. */
export function unseenText(
  files: readonly { readonly path: string; readonly texts: readonly string[] }[],
): string {
  const shownFiles = files.filter(({ texts }) => texts.length > 0);
  const count = shownFiles.reduce((sum, { texts }) => sum + texts.length, 0);
  const header = folded(
    `# ${count} texts that no other file shows, as they stand in the code; … is a value. A few are no texts but rules, scripts or patterns.`,
  ).join('\n');
  const texts = shownFiles.map(({ path, texts: each }) =>
    [`== ${path}`, ...each.map((text) => text.replace(/\s+/g, ' ').trim())]
      .flatMap(folded)
      .join('\n'),
  );
  return `${header}\n\n${texts.join('\n\n')}\n`;
}

/** The names of the catalogue's files. */
export const catalogueFiles = (): readonly string[] => readdirSync(FOLDER).sort();

export const readCatalogue = (name: string): string => readFileSync(`${FOLDER}${name}`, 'utf8');

/** The entries of a file, each with its line breaks as spaces. */
export const entriesOf = (text: string): readonly string[] =>
  text.split(/^(?=== )/m).map((entry) => entry.replace(/\s+/g, ' '));
