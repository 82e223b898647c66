import { PREFIX } from '../host/paths.ts';
import { singleQuoted } from '../net/shell-word.ts';
import type { CliCommand, Flag } from './command.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Where each shell looks for completions. */
export const COMPLETION_PATHS: Readonly<Record<Shell, string>> = {
  bash: `${PREFIX}/share/bash-completion/completions/ovpn-killswitch`,
  zsh: `${PREFIX}/share/zsh/site-functions/_ovpn-killswitch`,
  fish: `${PREFIX}/share/fish/vendor_completions.d/ovpn-killswitch.fish`,
};

const HELP: readonly [name: string, flag: Flag] = [
  'help',
  { type: 'boolean', what: 'show how it is called' },
];

function flagsOf({ flags }: CliCommand): readonly (readonly [name: string, flag: Flag])[] {
  return [...Object.entries(flags), HELP];
}

/** Lists flags that a value follows, as `command:--flag`. */
function valued(
  commands: readonly CliCommand[],
): readonly (readonly [pattern: string, flag: Flag])[] {
  return commands.flatMap((command) =>
    flagsOf(command).flatMap(([name, flag]) =>
      flag.type === 'string' ? [[`${command.name}:--${name}`, flag] as const] : [],
    ),
  );
}

/**
 * Renders completion for bash. It counts words without flags and their values; where a file may
 * stand, the shell itself completes.
 */
function bash(commands: readonly CliCommand[]): string {
  const values = valued(commands);
  const choices = values.flatMap(([pattern, { choices: all = [] }]) =>
    all.length === 0
      ? []
      : [
          `    ${pattern}) COMPREPLY=($(compgen -W ${singleQuoted(all.join(' '))} -- "$word")); return ;;`,
        ],
  );
  const places = commands.flatMap((command) =>
    command.words.flatMap(({ choices: all = [] }, place) =>
      all.length === 0
        ? []
        : [`    ${command.name}:${place}) words=${singleQuoted(all.join(' '))} ;;`],
    ),
  );
  const files = commands
    .filter(({ words }) => words.some(({ isFile }) => isFile === true))
    .map(({ name }) => name);
  const flags = commands.map(
    (command) =>
      `    ${command.name}) flags=${singleQuoted(
        flagsOf(command)
          .map(([name]) => `--${name}`)
          .join(' '),
      )} ;;`,
  );
  return `_ovpn_killswitch() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]}
  local words= flags= place=0 skip= each
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W ${singleQuoted(commands.map(({ name }) => name).join(' '))} -- "$word"))
    return
  fi
  case $command:$before in
${choices.join('\n')}
    ${values.map(([pattern]) => pattern).join('|')}) return ;;
  esac
  for each in "\${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case $command:$each in
      ${values.map(([pattern]) => pattern).join('|')}) skip=1 ;;
      *:-*) ;;
      *) place=$((place + 1)) ;;
    esac
  done
  case $command:$place in
${places.join('\n')}
  esac
  case $command in
${flags.join('\n')}
  esac
  case $word:$command in
    -*) words=$flags ;;
    *:${files.join('|*:')}) ;;
    *) [ -n "$words" ] || words=$flags ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _ovpn_killswitch ovpn-killswitch
`;
}

/** Escapes text inside brackets of zsh's _arguments: brackets and colons mean something there. */
function described(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&');
}

function zshArguments(command: CliCommand): string {
  const flags = flagsOf(command).map(
    ([name, { type, multiple, value = 'VALUE', choices, what }]) => {
      const after =
        type === 'boolean'
          ? ''
          : `:${value}:${choices === undefined ? '' : `(${choices.join(' ')})`}`;
      return singleQuoted(`${multiple === true ? '*' : ''}--${name}[${described(what)}]${after}`);
    },
  );
  const words = command.words.map(({ name, choices, isFile }, place) => {
    const how = isFile === true ? '_files' : choices === undefined ? '' : `(${choices.join(' ')})`;
    return singleQuoted(`${isFile === true ? '*' : place + 1}:${described(name)}:${how}`);
  });
  return [...flags, ...words].join(' ');
}

function zsh(commands: readonly CliCommand[]): string {
  const names = commands.map(
    ({ name, brief }) => `    ${singleQuoted(`${name}:${brief.replaceAll(':', '\\:')}`)}`,
  );
  const cases = commands.map(
    (command) => `        ${command.name}) _arguments ${zshArguments(command)} ;;`,
  );
  return `#compdef ovpn-killswitch
_ovpn_killswitch() {
  local curcontext=$curcontext state line
  local -a commands
  commands=(
${names.join('\n')}
  )
  _arguments -C '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}
_ovpn_killswitch "$@"
`;
}

function fish(commands: readonly CliCommand[]): string {
  const line = (...words: readonly string[]) => ['complete -c ovpn-killswitch', ...words].join(' ');
  return `${commands
    .flatMap((command) => {
      const seen = `__fish_seen_subcommand_from ${command.name}`;
      const takesFiles = command.words.some(({ isFile }) => isFile === true);
      return [
        line(`-n __fish_use_subcommand -f -a ${command.name} -d ${singleQuoted(command.brief)}`),
        ...(takesFiles ? [] : [line(`-n ${singleQuoted(seen)} -f`)]),
        ...command.words.flatMap(({ choices = [], what }, place) =>
          choices.length === 0
            ? []
            : [
                line(
                  `-n ${singleQuoted(`${seen}; and test (count (commandline -opc)) -eq ${place + 2}`)}`,
                  `-f -a ${singleQuoted(choices.join(' '))} -d ${singleQuoted(what)}`,
                ),
              ],
        ),
        ...flagsOf(command).map(([name, { type, choices, what }]) =>
          line(
            `-n ${singleQuoted(seen)} -l ${name} -d ${singleQuoted(what)}`,
            ...(type === 'boolean' ? [] : ['-x']),
            ...(choices === undefined ? [] : [`-a ${singleQuoted(choices.join(' '))}`]),
          ),
        ),
      ];
    })
    .join('\n')}\n`;
}

/** Renders a shell's completion, from the same table as the help. */
export function completionText(shell: Shell, every: readonly CliCommand[]): string {
  // Nobody types the commands that other programs call.
  const commands = every.filter(({ group }) => group !== 'internal');
  switch (shell) {
    case 'bash':
      return bash(commands);
    case 'zsh':
      return zsh(commands);
    case 'fish':
      return fish(commands);
    default:
      return shell satisfies never;
  }
}
