import { readdirSync, readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

const FOLDER = new URL('../catalogue/', import.meta.url).pathname;
/** The width of the terminal on which commands are shown. */
export const COLUMNS = 80;

/** One call, and what a person sees of it. */
export interface Entry {
  /** The state that the call met, or the example that it is. */
  readonly state: string;
  readonly call: string;
  readonly exit: number | null;
  readonly output: string;
}

const MORE_INDENT = '    ';

/** Folds what a program printed without looking at the terminal, as a log or a script does. */
function folded(line: string): readonly string[] {
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

/**
 * Values that differ from run to run, and the words that stand for them. Nothing else of an output
 * is changed.
 */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/\/\S*\/dist\/cli\.js\b/g, '/src/ovpn-killswitch/dist/cli.js'],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/\b(process|pid) \d+/g, '$1 PID'],
  [/\b(after|for|in|ago|since|in the last)(\s+)\d+(\s+)(?:s|ms|min)\b/g, '$1$2N$3s'],
  [/\bbelongs to \S+ \(uid/g, 'belongs to USER (uid'],
  [/\b\d+ s( ago)?\b(?= *$)/gm, 'N s$1'],
  [/\b(\d+) packets?, [\d.]+ \w?B\b/g, 'N packets, SIZE'],
  [/\bv\d+\.\d+\.\d+\b/g, 'vVERSION'],
  [/\(code \d+\)/g, '(code N)'],
];

/** Erases the rest of the line (ECMA-48). */
const ERASE = '\x1b[K';

/** Returns the text that a terminal shows in the end: later output overwrites a progress line. */
export function shown(output: string): string {
  const lines = output
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => {
      const kept = line
        .split(ERASE)
        .flatMap((part) => part.split('\r'))
        .filter((part) => stripVTControlCharacters(part) !== '');
      return stripVTControlCharacters(kept.at(-1) ?? '').trimEnd();
    });
  return VARIABLE.reduce(
    (text, [variable, word]) => text.replace(variable, word),
    lines.join('\n').replaceAll(process.execPath, '/usr/bin/node'),
  ).trim();
}

/** Long outputs for programs are shown by their first lines. */
const PROGRAM_LINES = 6;
function shortened(output: string): string {
  const lines = output.split('\n');
  return lines.length <= PROGRAM_LINES
    ? output
    : [...lines.slice(0, PROGRAM_LINES), `[${lines.length - PROGRAM_LINES} more lines]`].join('\n');
}

/** Renders one file of the catalogue. Entries that are the same stand once. */
export function catalogueText(header: string, entries: readonly Entry[], short: RegExp): string {
  const texts = entries.map(({ state, call, exit, output }) =>
    [
      `== ${state} (exit ${exit})`,
      `$ ${call}`,
      short.test(call.replace('ovpn-killswitch ', '')) && exit === 0 ? shortened(output) : output,
    ]
      .flatMap((text) => text.split('\n'))
      .flatMap(folded)
      .join('\n'),
  );
  return `${folded(`# ${header}`).join('\n')}\n\n${[...new Set(texts)].join('\n\n')}\n`;
}

/** Renders the entries of the log file that all those calls have made, under their events. */
export function logText(
  entries: readonly { readonly event: string; readonly line: string }[],
): string {
  const events = [...new Set(entries.map(({ event }) => event))];
  const texts = events.map((event) =>
    [`== ${event}`, ...entries.filter((each) => each.event === event).map(({ line }) => line)]
      .flatMap(folded)
      .join('\n'),
  );
  const header =
    '# Entries of /var/log/ovpn-killswitch.log that the calls of the other files have\n    made, by event. Its lines are JSON: this is the event, the level and the text.';
  return `${header}\n\n${texts.join('\n\n')}\n`;
}

/** The file of the texts that no call prints. */
export const UNSEEN = 'unseen.txt';

/** Renders the texts of source files that no call prints. */
export function unseenText(
  files: readonly { readonly path: string; readonly texts: readonly string[] }[],
): string {
  const shownFiles = files.filter(({ texts }) => texts.length > 0);
  const count = shownFiles.reduce((sum, { texts }) => sum + texts.length, 0);
  const header = `# ${count} texts that no call of the other files prints, as they stand in\n    the code; … is a value. A few are no texts but rules, scripts or patterns.`;
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
