import { stripVTControlCharacters } from 'node:util';
import { folded } from './catalogue.ts';

/** One call, and what a person sees of it. */
export interface Entry {
  /** The state that the call met, or the example that it is. */
  readonly state: string;
  readonly call: string;
  readonly exit: number | null;
  readonly output: string;
}

/**
 * Values that differ from run to run, and the words that stand for them. Nothing else of an output
 * is changed.
 */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/\/\S*\/dist\/cli\.js\b/g, '/src/ovpn-killswitch/dist/cli.js'],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/\b(process|pid) \d+/g, '$1 PID'],
  // With its line breaks: they stand elsewhere where the number has other digits.
  [/\s+(after|for|in|in the last)\s+\d+\s+(?:s|ms|min)\b/g, ' $1 N s'],
  [/\bin the last minute\b/g, 'in the last N s'],
  [/^( *since +)\d+ (?:s|min)$/gm, '$1N s'],
  [/\bbelongs to \S+ \(uid/g, 'belongs to USER (uid'],
  [/\b\d+ s( ago)?\b(?= *$)/gm, 'N s$1'],
  [/\b(\d+) packets?, [\d.]+ \w?B\b/g, 'N packets, SIZE'],
  [/\bv\d+\.\d+\.\d+\b/g, 'vVERSION'],
  [/\(code \d+\)/g, '(code N)'],
  [/\b\d+ tried\b/g, 'N tried'],
  // The system call that Node names: another version makes another one.
  [/(\bE[A-Z]+: [a-z, -]+), [a-z]+ (?=')/g, '$1, CALL '],
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
    : [...lines.slice(0, PROGRAM_LINES), '[and more lines]'].join('\n');
}

/** Renders one file of the catalogue. Entries that are the same stand once. */
export function catalogueText(header: string, entries: readonly Entry[], short: RegExp): string {
  const texts = entries.map(({ state, call, exit, output }) =>
    [
      `== ${state} (exit ${exit})`,
      `$ ${call}`,
      short.test(call.replace('ovpn-killswitch ', '')) && !call.endsWith(' --help') && exit === 0
        ? shortened(output)
        : output,
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
  const header = folded(
    '# Entries of /var/log/ovpn-killswitch.log that the calls of the other files have made, by event. Its lines are JSON: this is the event, the level and the text.',
  );
  return `${header.join('\n')}\n\n${texts.join('\n\n')}\n`;
}
