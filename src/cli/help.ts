import { type CliCommand, type Flag, GROUPS, type Group } from './command.ts';

/** A line of help, and the indent of its continuation lines. */
export interface HelpLine {
  readonly text: string;
  readonly indent?: number;
}

/** The indent of a continued usage line: more than that of the lines below it. */
const USAGE_INDENT = 10;
/** The columns where descriptions of commands and of flags begin. */
const COMMAND_COLUMN = 14;
const FLAG_COLUMN = 24;

const isShown = (group: Group): boolean => group !== 'internal';

/** Writes a flag as a person types it: `--for TIME`. */
export function flagText(name: string, { type, value = 'VALUE', choices }: Flag): string {
  return type === 'boolean' ? `--${name}` : `--${name} ${choices?.join('|') ?? value}`;
}

/**
 * Writes a name, and its description from a column on. A name that is too long gets a line of its
 * own.
 */
function entry(name: string, what: string, column: number): readonly HelpLine[] {
  const head = `  ${name}`;
  if (head.length + 2 > column)
    return [
      { text: head, indent: column },
      { text: `${' '.repeat(column)}${what}`, indent: column },
    ];
  return [{ text: `${head.padEnd(column)}${what}`, indent: column }];
}

/** Returns the help of the program: every command in its group, on one screen. */
export function programHelp(commands: readonly CliCommand[]): readonly HelpLine[] {
  const groups = (Object.entries(GROUPS) as [Group, string][]).filter(([group]) => isShown(group));
  return [
    { text: 'ovpn-killswitch: nothing leaves this machine but your VPN.' },
    ...groups.flatMap(([group, title]) => [
      { text: `${title}:` },
      ...commands
        .filter((each) => each.group === group)
        .flatMap(({ name, brief }) => entry(name, brief, COMMAND_COLUMN)),
    ]),
    { text: '"ovpn-killswitch COMMAND --help" says more, --version which version this is.' },
  ];
}

/** Returns the help of one command. */
export function commandHelp({
  usage,
  summary,
  flags,
  words,
  exits = [],
  examples,
  needsRoot,
}: CliCommand): readonly HelpLine[] {
  const part = (title: string, lines: readonly HelpLine[]) =>
    lines.length === 0 ? [] : [{ text: '' }, { text: title }, ...lines];
  return [
    { text: `ovpn-killswitch ${usage}`, indent: USAGE_INDENT },
    { text: '' },
    { text: `${summary}${needsRoot ? ' Needs root.' : ''}` },
    ...part(
      'Words:',
      words.flatMap(({ name, what, choices }) =>
        entry(choices?.join('|') ?? name, what, FLAG_COLUMN),
      ),
    ),
    ...part(
      'Flags:',
      Object.entries(flags).flatMap(([name, flag]) =>
        entry(flagText(name, flag), flag.what, FLAG_COLUMN),
      ),
    ),
    ...part(
      'Exit statuses:',
      exits.flatMap(([status, meaning]) => entry(String(status), meaning, COMMAND_COLUMN)),
    ),
    ...part(
      'Examples:',
      examples.flatMap(([call, what]) => [
        { text: `  ovpn-killswitch ${call}`, indent: USAGE_INDENT },
        { text: `      ${what}` },
      ]),
    ),
  ];
}
